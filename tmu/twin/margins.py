"""From predicted true-class margins to those that a gold would have.

A margin is log p_y / (1 - p_y). Regression predicts means: too few records come out wrong, and none is as sure as a
gold is of the clear ones. Training and hold-out records are drawn alike, so over random records of D the predicted
margins should be distributed as the original's are over the hold-out, which it has not seen. The map between the two
distributions (quantile to quantile) is fitted once on records of D under the original itself and so also takes up what
is left of the difference between the twin and the real problem. A gold has lost a share of D: its hold-out margins lie
between the original's and those of networks trained on half of D, on a line in the logarithm of the share kept.

A forget set need not be drawn as the hold-out is: it may be harder, or easier. The half that has not seen its records
tells. Its margins there, carried from a half's scale to a gold's by the same two hold-out distributions, are draws of
what a gold would show on this very set; the predicted margins keep their order and take those values.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Sharpness = Literal["mean", "quantile", "envelope"]
_LEVELS = torch.linspace(0.0005, 0.9995, 400)
_FARTHEST = 30.0  # a shift; margins lie within ±13.8
_ALIKE = 200  # records of a forget set whose own margins weigh as much as the hold-out's


@dataclass(frozen=True)
class MarginMap:
    """predicted (Q,): quantiles of predicted margins. gold (2, Q): hold-out quantiles of the original, of the halves.

    shift (2,): what to add to the predicted margins to meet the mean probability of either.
    """

    predicted: Tensor
    gold: Tensor
    shift: Tensor

    def apply(self, margins: Tensor, lost: float, sharpness: Sharpness, unseen: Tensor | None = None) -> Tensor:
        """Margins (N,) of a gold that has lost the share `lost` of D; `unseen` (N,): those of the unseen halves.

        `mean`: shifted only, as a mean of many golds would be. `quantile`: distributed as one gold's are. `envelope`:
        the lower of the two, so that hard records come out wrong as often as with one gold, and no easy one is taught
        more confidence than expected on average; how much lower, is taken at the same margin from random records.
        """
        at = float(np.clip(-np.log2(max(1 - lost, 1e-9)), 0, 1))
        shift, gold = torch.lerp(self.shift[0], self.shift[1], at), torch.lerp(self.gold[0], self.gold[1], at)
        quantile = _interpolated(margins, self.predicted, gold)
        if unseen is not None:
            own = self._of_this_set(margins, unseen, gold)
            quantile = torch.lerp(quantile, own, len(margins) / (len(margins) + _ALIKE))
            shift = _shift(margins, float(torch.sigmoid(quantile).mean()))
        if sharpness == "envelope":
            return quantile - _interpolated(quantile, gold, self._held_back(gold, at))
        return quantile if sharpness == "quantile" else margins + shift

    def _held_back(self, gold: Tensor, at: float) -> Tensor:
        """By how much `mean` lies below `quantile` at each level of random records: (Q,), not negative."""
        mean = self.predicted + torch.lerp(self.shift[0], self.shift[1], at)
        return (gold - mean).clamp_min(0)

    def _of_this_set(self, margins: Tensor, unseen: Tensor, gold: Tensor) -> Tensor:
        """The unseen halves' margins on a gold's scale, in the order of the predicted ones: (N,)."""
        drawn = torch.empty_like(margins)
        drawn[margins.argsort(stable=True)] = _interpolated(unseen, self.gold[1], gold).to(margins).sort().values
        return drawn


def fit_margins(predicted: Tensor, original: Tensor, halves: Tensor | None) -> MarginMap:
    """From predicted margins (N,) of random records of D and hold-out margins (M,) of the original and the halves."""
    goals = [original, original if halves is None else halves]
    gold = torch.stack([goal.quantile(_LEVELS) for goal in goals])
    shift = torch.tensor([_shift(predicted, float(torch.sigmoid(goal).mean())) for goal in goals])
    return MarginMap(predicted.quantile(_LEVELS), gold, shift)


def margin_of(p: Tensor, labels: Tensor) -> Tensor:
    """log p_y / (1 - p_y) (N,) of probabilities (N, K), within ±13.8."""
    return p.gather(1, labels[:, None])[:, 0].clamp(1e-6, 1 - 1e-6).logit()


def with_margin(p: Tensor, labels: Tensor, margins: Tensor) -> Tensor:
    """Probabilities (N, K) with these margins; the other classes share the rest as they do in `p`.

    Where `p` leaves them nothing, they share it equally.
    """
    others = p.clamp_min(1e-30).scatter(1, labels[:, None], 0.0)
    others = others / others.sum(1, keepdim=True)
    true = torch.sigmoid(margins)[:, None]
    return (others * (1 - true)).scatter(1, labels[:, None], true)


def _interpolated(margins: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Each margin (N,) at the same level of `end` (Q,) as it has in `start` (Q,)."""
    mapped = np.interp(margins.double().numpy(), start.double().numpy(), end.double().numpy())
    return torch.from_numpy(mapped).to(margins.dtype)


def _shift(margins: Tensor, mean: float) -> float:
    """What must be added to the margins so that their mean probability is `mean` (bisection)."""
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if float(torch.sigmoid(margins + middle).mean()) > mean else (middle, high)
    return (low + high) / 2
