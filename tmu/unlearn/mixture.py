"""Two losses in one pass: D_f and D_r in mixed batches, weighed so that each set's mean counts as much as it should."""

from dataclasses import replace

import torch

from tmu.train import Examples
from tmu.train.examples import join


def weighed(forget: Examples, retain: Examples, classes: int, forget_weight: float, retain_weight: float) -> Examples:
    """D_f and D_r as one set whose mean loss is forget_weight · mean over D_f + retain_weight · mean over D_r.

    The published codes draw a batch of each set for every step; in mixed batches the sum is the same over an epoch, at
    half the price, and needs no second order of records. Weights that the sets carry already are replaced.
    """
    n = len(forget) + len(retain)
    first, second = (
        replace(part, weights=torch.full((len(part),), weight * n / max(1, len(part)), device=part.labels.device))
        for part, weight in ((forget, forget_weight), (retain, retain_weight))
    )
    return join(first, second, classes)
