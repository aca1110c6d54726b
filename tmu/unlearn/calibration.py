"""Logit calibration: a factor on the head that makes a model as sure as a gold.

It is fitted on records that neither the model nor the original trained on.

Formula: (W, b) of the head become s · (W, b), s = Σ_l g_l · m_l / Σ_l m_l², the slope through 0 of a gold's hold-out
margins g against the model's own, m, level by level (Q-Q); repeated, since the margin of K classes is only nearly
linear in s. g lies between the margins of the original and those of the cross-fit models, on a line in the logarithm of
the share of D that is kept (`tmu/twin/margins.py`). Ours; a temperature (Guo et al., arXiv 1706.04599) whose aim is a
gold's confidence, not the true frequencies.
Why: soft targets for the forget set make a model less sure of all records, and one that is less sure of everything than
any gold stands out record by record. Twice, after two thirds of the steps and after the last: at the end alone it lifts
the forget set above its targets, after every epoch it spreads the models apart (`docs/decisions/0006-soft-targets.md`).
Cost: five passes over the records given. Failure mode: a removal that makes golds surer (all hard records), which the
original cannot show.
"""

import math

import torch
from torch import Tensor, nn

from tmu.models.registry import head_of
from tmu.train import Examples, logits_of
from tmu.twin.cross_fit import CrossFit
from tmu.twin.margins import margin_of

_AFTER = (2 / 3, 1.0)  # shares of the steps
_ROUNDS, _FARTHEST = 6, 2.0
_LEVELS = torch.linspace(0.0005, 0.9995, 400, dtype=torch.float64)


class LogitCalibration:
    """The engine's hook. factor: the last one, by which the model was still off at the end."""

    def __init__(self, holdout: Examples, gold: Tensor, steps: int, device: torch.device | str = "cpu"):
        self.holdout, self.gold, self.device = holdout, gold, device
        self.at = {max(1, round(steps * share)) for share in _AFTER}
        self.factor = 1.0

    def __call__(self, model: nn.Module, step: int) -> None:
        if step in self.at:
            self.factor = calibrate(model, self.holdout, self.gold, self.device)
            model.train()


def expected_margins(
    original: nn.Module, cross_fit: CrossFit | None, holdout: Examples, lost: float, device: torch.device | str = "cpu"
) -> Tensor:
    """Quantiles (400,) of the hold-out margins of a gold that has lost the share `lost` of D."""
    own = _quantiles(logits_of(original, holdout.images, device=device), holdout.labels)
    if cross_fit is None:
        return own
    at = min(max(-math.log2(max(1 - lost, 1e-9)), 0.0), 1.0)
    return torch.lerp(own, _quantiles(cross_fit.other(holdout, device), holdout.labels), at)


@torch.no_grad()
def calibrate(model: nn.Module, holdout: Examples, gold: Tensor, device: torch.device | str = "cpu") -> float:
    """Scale the head in place until its margins on the hold-out are `gold` (400,), and return s, within 1/2..2."""
    logits, scale = logits_of(model, holdout.images, device=device), 1.0
    for _ in range(_ROUNDS):
        own = _quantiles(scale * logits, holdout.labels)
        slope = float((gold * own).sum() / own.square().sum().clamp_min(1e-12))
        scale = min(max(scale * slope, 1 / _FARTHEST), _FARTHEST)
    head = head_of(model)
    for part in (head.weight, head.bias):
        if part is not None:
            part.mul_(scale)
    return scale


def _quantiles(logits: Tensor, labels: Tensor) -> Tensor:
    return margin_of(logits.double().softmax(1), labels.cpu()).quantile(_LEVELS)
