"""The seeds of a run."""

from tmu.config.base import Config


class Seeds(Config):
    """Separate seeds, so that a gold can share the original's order and augmentation."""

    init: int = 0
    order: int = 0
    augment: int = 0
    unlearn: int = 0
    evaluate: int = 0

    @classmethod
    def all(cls, seed: int) -> "Seeds":
        """The same number on every axis."""
        return cls(init=seed, order=seed, augment=seed, unlearn=seed, evaluate=seed)
