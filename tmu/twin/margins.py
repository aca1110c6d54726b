"""From predicted true-class margins to those that a gold would have.

A margin is log p_y / (1 - p_y). Regression predicts means: too few records come out wrong, and none is as sure as a
gold is of the clear ones. Training and hold-out records are drawn alike, so over random records of D the predicted
margins should be distributed as the original's are over the hold-out, which it has not seen. The map between the two
distributions (quantile to quantile) is fitted once on records of D under the original itself and so also takes up what
is left of the difference between the twin and the real problem. A gold has lost a share of D: its hold-out margins lie
between the original's and those of networks trained on half of D, on a line in the logarithm of the share kept.

A forget set need not be drawn as the hold-out is: it may be harder, or easier. The cross-fit model that has not seen a
record tells. Its margins there, carried from its own scale to a gold's by the same two hold-out distributions, are
draws of what a gold would show on this very set; the predicted margins keep their order and take those values.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_LEVELS = torch.linspace(0.0005, 0.9995, 400)
_FARTHEST = 30.0  # a shift; margins lie within ±13.8
_ALIKE = 200  # records of a forget set whose own margins weigh as much as the hold-out's


@dataclass(frozen=True)
class MarginMap:
    """predicted (Q,): quantiles of predicted margins. gold (2, Q): hold-out quantiles of the original, of the
    cross-fit models.

    shift (2,): what to add to the predicted margins to meet the mean probability of either.
    """

    predicted: Tensor
    gold: Tensor
    shift: Tensor

    def apply(self, margins: Tensor, lost: float, unseen: Tensor | None = None) -> Tensor:
        """Margins (N,) of a gold that has lost the share `lost` of D; `unseen` (N,): those of the cross-fit models.

        They are distributed as one gold's (`quantile`), but no easy record is taught more confidence than expected on
        average: a margin is held back by as much as the mean lies below the quantile map at that margin, over random
        records.
        """
        gold, shift = self._at(lost)
        quantile = self.quantile(margins, lost, unseen)
        held_back = (gold - (self.predicted + shift)).clamp_min(0)  # (Q,)
        return quantile - _interpolated(quantile, gold, held_back)

    def quantile(self, margins: Tensor, lost: float, unseen: Tensor | None = None) -> Tensor:
        """Margins (N,) distributed as one gold's: as many records come out wrong."""
        gold, _ = self._at(lost)
        mapped = _interpolated(margins, self.predicted, gold)
        if unseen is None:
            return mapped
        own = self._of_this_set(margins, unseen, gold)
        return torch.lerp(mapped, own, len(margins) / (len(margins) + _ALIKE))

    def mean(self, margins: Tensor, lost: float) -> Tensor:
        """Margins (N,) shifted only: the mean true-class probability becomes that of golds."""
        return margins + self._at(lost)[1]

    def _at(self, lost: float) -> tuple[Tensor, Tensor]:
        """`gold` (Q,) and `shift` () of a gold that has lost the share `lost` of D."""
        at = float(np.clip(-np.log2(max(1 - lost, 1e-9)), 0, 1))
        return torch.lerp(self.gold[0], self.gold[1], at), torch.lerp(self.shift[0], self.shift[1], at)

    def _of_this_set(self, margins: Tensor, unseen: Tensor, gold: Tensor) -> Tensor:
        """The cross-fit models' margins on a gold's scale, in the order of the predicted ones: (N,)."""
        drawn = torch.empty_like(margins)
        drawn[margins.argsort(stable=True)] = _interpolated(unseen, self.gold[1], gold).to(margins).sort().values
        return drawn


def fit_margins(predicted: Tensor, original: Tensor, cross_fit: Tensor | None) -> MarginMap:
    """From predicted margins (N,) of random records of D and hold-out margins (M,) of the original and the
    cross-fit models (None: there are none).
    """
    goals = [original, original if cross_fit is None else cross_fit]
    gold = torch.stack([goal.quantile(_LEVELS) for goal in goals])
    shift = torch.tensor([mean_shift(predicted, float(torch.sigmoid(goal).mean())) for goal in goals])
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


def mean_shift(margins: Tensor, mean: float) -> float:
    """What must be added to the margins so that their mean probability is `mean` (bisection)."""
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if float(torch.sigmoid(margins + middle).mean()) > mean else (middle, high)
    return (low + high) / 2
