"""What a method gets and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig
from tmu.errors import ModelError
from tmu.references.rows import ReferenceRows
from tmu.ridge.statistics import Statistics
from tmu.train import Examples, Fit
from tmu.twin.reference_twin import ReferenceTwin
from tmu.twin.twin import Twin


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the references say of a problem.

    forget, replay: their outputs for `Problem.forget` and for `Problem.retain`, in the same order. twin: what was
    fitted on their twin problems. lost: the share of D that goes, by class (K,) and in the last place of all: (K+1,).
    """

    forget: ReferenceRows
    replay: ReferenceRows
    twin: ReferenceTwin
    lost: Tensor


@dataclass(frozen=True)
class Problem:
    """One unlearning problem. There is no gold in it: a method cannot be tuned on what it must not see.

    model: a copy of the original, which the method changes in place. forget, retain: D_f and D_r with true labels.
    recipe: how the original was trained. fit: the engine, bound to device, threads, snapshot and progress.
    fresh: a newly initialised network of the same architecture. twin: present where the method asks for one. holdout:
    D_h, which the original never trained on, less what is to be forgotten; present where the method asks for it.
    held: records of D_h, less what is to be forgotten, that a training by the recipe is looked at with, if any.
    lessons: present where the method has `NEEDS_REFERENCES`; then `retain` is a part of D_r, drawn for replay.
    statistics: what the model's ridge head was solved from, where the method has `NEEDS_STATISTICS` and they can be
    used; then `retain` is empty.
    """

    model: nn.Module
    forget: Examples
    retain: Examples
    classes: int
    recipe: TrainConfig
    seeds: Seeds
    fit: Callable[..., Fit]
    fresh: Callable[[], nn.Module]
    twin: Twin | None = None
    holdout: Examples | None = None
    lessons: Lessons | None = None
    held: Examples | None = None
    statistics: Statistics | None = None
    device: torch.device | str = "cpu"

    @property
    def known_twin(self) -> Twin:
        """`twin`, for methods with `NEEDS_TWIN`. Raises ModelError where there is none."""
        if self.twin is None:
            raise ModelError("The method needs a twin, and there is none.", "Fit it: `tmu twin fit`.")
        return self.twin

    @property
    def known_holdout(self) -> Examples:
        """`holdout`, for methods with `NEEDS_HOLDOUT`. Raises ModelError where there is none."""
        if self.holdout is None:
            raise ModelError("The method needs hold-out records, and there are none.", "Import with a hold-out.")
        return self.holdout


@dataclass(frozen=True)
class Outcome:
    """The unlearned model, the engine's report, and notes for the report (JSON-ready, no record keys)."""

    model: nn.Module
    fit: Fit
    notes: dict[str, Any] = field(default_factory=dict)
