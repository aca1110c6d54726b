"""Which forget samples are hard: how many (calibrated), and which (ranked)."""

import torch
from torch import Tensor

from tmu.train.order import hash_keys, stream


def hard_count(labels: Tensor, class_error: Tensor) -> int:
    """How many of the samples a gold gets wrong: round( Σ_c err(c) · |D_f ∩ c| ), err on the hold-out.

    Valid for a forget set that is distributed like the hold-out (`docs/method.md`).
    """
    return round(float(class_error[labels].sum()))


def hardest(p_wrong: Tensor, count: int) -> Tensor:
    """The `count` samples that are hardest by the predictor: bool (N,)."""
    chosen = torch.zeros(len(p_wrong), dtype=torch.bool)
    chosen[p_wrong.argsort(descending=True, stable=True)[:count]] = True
    return chosen


def random_choice(keys: Tensor, count: int, seed: int, purpose: str = "random choice") -> Tensor:
    """`count` samples (or all) drawn by their keys alone, bool (N,); by default the control of the right fraction."""
    drawn = torch.from_numpy(hash_keys(keys, stream(seed, purpose)).argsort(kind="stable")[:count].copy())
    return torch.zeros(len(keys), dtype=torch.bool).index_fill_(0, drawn, True)
