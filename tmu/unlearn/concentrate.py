"""As decided between the other classes as a gold: a power on what the targets leave to them.

Formula: with o_k = q_k / (1 - q_y) over k ≠ y, the targets become q_y and (1 - q_y) · o_k^γ / Σ_j o_j^γ. γ is one
number for the forget set, found by bisection: the largest other class's share, weighted by 1 - q_y, is what it is on
average where a gold leaves as much to the others. The original on the hold-out, which it has not seen, stands for the
gold. Ours. Why: regression predicts mean probabilities, and a mean over golds that err towards different classes is
spread over all of them. Its true-class margin may be a gold's (`tmu/twin/margins.py`), its arg-max is still right too
often. Cost: one pass over the hold-out. Failure mode: a removal that changes how golds decide between the others; a
class that goes as a whole does, so its records keep their targets.
"""

import math

import torch
from torch import Tensor

_BINS, _LEAST = 20, 25  # of the hold-out, by what is left to the others; records in each
_FARTHEST = 8.0
_FLOOR = 1e-30


def concentrate(q: Tensor, labels: Tensor, gold: Tensor, gold_labels: Tensor) -> tuple[Tensor, float]:
    """Targets (N, K) with labels (N,) → (as concentrated as probabilities `gold` (M, K) with labels (M,), γ)."""
    if q.shape[1] < 3 or not len(q) or not len(gold):
        return q, 1.0
    rest, others = _others(q, labels)
    wanted = _expected_share(*_others(gold, gold_labels), rest)

    def found(power: float) -> float:
        return float(_mean(others.pow(power).amax(1) / others.pow(power).sum(1), rest))

    aim = float(_mean(wanted, rest))
    low, high = -math.log(_FARTHEST), math.log(_FARTHEST)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if found(math.exp(middle)) < aim else (low, middle)
    power = math.exp((low + high) / 2)
    sharp = others.pow(power).scatter(1, labels[:, None], 0.0)
    sharp = sharp / sharp.sum(1, keepdim=True) * rest[:, None]
    return sharp.to(q.dtype).scatter(1, labels[:, None], q.gather(1, labels[:, None])), power


def _others(p: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What is left to the other classes (N,), and how they share it: (N, K), 0 for the true one."""
    left = p.double().clamp_min(_FLOOR).scatter(1, labels[:, None], 0.0)
    return left.sum(1), left / left.sum(1, keepdim=True)


def _expected_share(gold_rest: Tensor, gold_others: Tensor, rest: Tensor) -> Tensor:
    """The gold's mean largest share where it leaves as much to the others: (N,) for `rest` (N,)."""
    bins = max(1, min(_BINS, len(gold_rest) // _LEAST))
    parts = gold_rest.argsort(stable=True).tensor_split(bins)
    means = torch.stack([_mean(gold_others[part].amax(1), gold_rest[part]) for part in parts])
    highest = torch.stack([gold_rest[part].max() for part in parts])
    return means[torch.bucketize(rest, highest[:-1])]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum()
