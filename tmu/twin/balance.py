"""Weights that give one set of records the mean score of another, class by class.

Formula: w ∝ exp(t · score) with mean 1 in each class and bounds on both sides, t by bisection. Source: entropy
balancing (Hainmueller, Political Analysis 2012) on one covariate, the discriminant's score. Cost: nothing. Failure
mode: where the sets do not overlap no t reaches the mean; few records then carry all weight, which `kish` shows.
"""

import torch
from torch import Tensor

_STEEPEST = 20.0  # t, for scores of standard deviation 1
_HALVINGS = 40


def balancing_weights(scores: Tensor, labels: Tensor, goal: Tensor, goal_labels: Tensor, bound: float) -> Tensor:
    """Weights (N,), mean 1 in every class, for records of scores (N,) and classes (N,).

    goal (M,), goal_labels (M,): scores and classes of the set to be matched; its classes are among `labels`. bound: no
    weight above it or below its inverse, before the mean is made 1.
    """
    spread = scores.std().clamp_min(1e-12)
    classes = 1 + int(labels.max())
    there, wanted = (torch.bincount(part, minlength=classes).double() for part in (labels, goal_labels))
    share = (wanted / len(goal) / there.clamp_min(1))[labels]  # so that classes count as in the goal
    low, high = 0.0, _STEEPEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reached = (_tilted(middle / spread * scores, labels, there, bound) * scores * share).sum()
        low, high = (middle, high) if reached < goal.mean() else (low, middle)
    return _tilted(low / spread * scores, labels, there, bound)


def _tilted(exponents: Tensor, labels: Tensor, there: Tensor, bound: float) -> Tensor:
    peak = torch.full_like(there, -torch.inf).scatter_reduce(0, labels, exponents, "amax")
    weights = _class_scaled((exponents - peak[labels]).exp(), labels, there)
    return _class_scaled(weights.clamp(1 / bound, bound), labels, there)


def _class_scaled(weights: Tensor, labels: Tensor, there: Tensor) -> Tensor:
    total = torch.zeros_like(there).scatter_add(0, labels, weights)
    return weights * (there / total.clamp_min(1e-300))[labels]
