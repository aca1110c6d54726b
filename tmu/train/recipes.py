"""The recipe of a step that goes on from a stored model: what it takes over from the original's, and what not."""

from typing import Any

from tmu.config import TrainConfig

_SGD: dict[str, Any] = {
    "optimiser": "sgd",
    "momentum": 0.9,
    "weight_decay": 5e-4,
}  # AdamW's decay would be far too much


def step_recipe(original: TrainConfig, **changes: Any) -> TrainConfig:
    """The original's recipe, with changes, for some steps from its weights.

    What the original trained is trained, by its optimiser: a frozen backbone stays so, a slower one is slower. Images
    are augmented and classes balanced alike. An average of so few steps would hold the old weights back, and nothing
    stops early: the length is the method's.
    """
    return original.model_copy(update={"ema": None, "early_stop": None, **changes})


def sgd_recipe(original: TrainConfig, lr: float, **changes: Any) -> TrainConfig:
    """The same by SGD, for a method whose own rate is one of SGD, whatever the original learned by."""
    return step_recipe(original, lr=lr, **({} if original.optimiser == "sgd" else _SGD), **changes)
