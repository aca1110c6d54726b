"""The sections of a suite's YAML, each checked by itself; `bench/suite.py` checks them together."""

from typing import Any

from pydantic import Field, model_validator

from tmu.config import Config, TrainConfig


class MethodRow(Config):
    """A row of the tables. method: by registry name; null: the row's own name, up to the first `/`."""

    method: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    options_on: dict[str, dict[str, Any]] = Field(default_factory=dict, description="further options by forget set")
    only_on: tuple[str, ...] | None = Field(None, description="forget sets; null: all")
    skip_on: tuple[str, ...] = ()
    train: TrainConfig | None = Field(None, description="recipe of the row's own original and golds; null: the suite's")

    def runs_on(self, forget_set: str) -> bool:
        """Whether the row is wanted there."""
        return (self.only_on is None or forget_set in self.only_on) and forget_set not in self.skip_on


class Stream(Config):
    """Successive deletions, each a disjoint random `share` of the original training set, or one person.

    Golds are trained, and cells measured, after the deletions in `measured` alone; null: after each.
    """

    deletions: int = Field(20, ge=1, le=999)
    share: float = Field(0.01, gt=0, lt=1)
    people: bool = Field(False, description="each deletion is one person; `share` is not used")
    first: int = Field(10, ge=1, description="the first so many deletions are watched for drift (people)")
    measured: tuple[int, ...] | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    methods: tuple[str, ...] = ("tmu-soft",)

    @model_validator(mode="after")
    def _leaves_something(self) -> "Stream":
        if not self.people and self.deletions * self.share > 0.9:
            raise ValueError("the deletions together take more than nine tenths of the training set")
        if self.measured is not None and not set(self.measured) <= set(range(1, self.deletions + 1)):
            raise ValueError("`measured` names a deletion that is not in the stream")
        return self


class References(Config):
    """The references of an original: pairs of networks on halves of its training set, of which outputs are kept."""

    pairs: int = Field(4, ge=1, le=16)
    inner: bool = Field(True, description="also the outputs of fresh heads on the networks' bodies")


class Verdicts(Config):
    """The audit without golds, judged by the truth. null: all of the suite's.

    sizes: records of the requests that are drawn from a forget set. pairs: how many pairs of references are used.
    """

    forget_sets: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    sizes: tuple[int, ...] = (1, 3, 10, 30, 100)
    pairs: tuple[int, ...] = (1, 2, 4)
    requests: int = Field(100, ge=1, description="drawn from a forget set by size, at most")
    alone: int = Field(8, ge=1, description="of them, so many are also audited alone")


class Fleet(Config):
    """Many models of one forget set, for numbers that compare laws: N originals, 2 N golds, N models a method."""

    models: int = Field(32, ge=4, le=9_999)
    forget_set: str
    methods: tuple[str, ...] = Field(min_length=1)
