"""The network: architecture, start, and how pixels become numbers."""

from pathlib import PurePath
from typing import Any, ClassVar

from pydantic import Field, field_validator

from tmu.config.base import Grown


class ModelConfig(Grown):
    """An architecture by registry name, with its options (`width`, ...), and what it starts from."""

    later: ClassVar[tuple[str, ...]] = ("init", "init_sha256", "init_source", "mean", "std")

    name: str = "small_resnet"
    options: dict[str, Any] = Field(default_factory=dict)
    init: str | None = Field(
        None, min_length=1, description="safetensors file to start from, relative to the workspace; null: random"
    )
    init_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="its digest; other bytes are refused")
    init_source: str = Field("", max_length=200, description="what those weights were trained on, in words")
    mean: float | tuple[float, ...] = Field(0.5, description="taken from the pixels (0..1): one number, or by channel")
    std: float | tuple[float, ...] = Field(0.25, description="what they are divided by then")

    @field_validator("init_source")
    @classmethod
    def _in_words(cls, value: str) -> str:
        if PurePath(value).is_absolute() or not value.isprintable():
            raise ValueError("say it in words on one line, not by a path: model cards and certificates repeat it")
        return value

    @field_validator("mean", "std")
    @classmethod
    def _some(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if value == ():
            raise ValueError("give one number, or one a channel")
        return value

    @field_validator("std")
    @classmethod
    def _positive(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if min(value if isinstance(value, tuple) else (value,)) <= 0:
            raise ValueError("a standard deviation is above 0")
        return value

    @property
    def constants(self) -> dict[str, tuple[float, ...]]:
        """`mean` and `std`, each as a tuple."""
        given = {"mean": self.mean, "std": self.std}
        return {name: each if isinstance(each, tuple) else (each,) for name, each in given.items()}

    @property
    def started(self) -> bool:
        """Whether it starts from weights that were trained elsewhere."""
        return bool(self.init or self.init_sha256)

    def made_of(self) -> dict[str, Any]:
        """What determines a fresh network besides the seed, JSON-ready: of a start its digest, not its place.

        Raises ValueError where the digest is not known yet (`tmu.starts.pinned`).
        """
        if self.init and not self.init_sha256:
            raise ValueError("the start has no digest yet")
        return self.model_dump(mode="json", exclude={"init", "init_source"})
