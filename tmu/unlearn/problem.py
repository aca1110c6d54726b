"""What a method gets and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from tmu.config import Seeds, TrainConfig
from tmu.train import Examples, Fit
from tmu.twin.twin import Twin


@dataclass(frozen=True)
class Problem:
    """One unlearning problem. There is no gold in it: a method cannot be tuned on what it must not see.

    model: a copy of the original, which the method changes in place. forget, retain: D_f and D_r with true labels.
    recipe: how the original was trained. fit: the engine, bound to device, threads, snapshot and progress.
    fresh: a newly initialised network of the same architecture. twin: present where the method asks for one. holdout:
    D_h, which the original never trained on, less what is to be forgotten; present where the method asks for it.
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
    device: torch.device | str = "cpu"


@dataclass(frozen=True)
class Outcome:
    """The unlearned model, the engine's report, and notes for the report (JSON-ready, no record keys)."""

    model: nn.Module
    fit: Fit
    notes: dict[str, Any] = field(default_factory=dict)
