"""From foreseen true-class margins to those that a gold would have.

A margin is log p_y / (1 - p_y). Regression foresees means: too few records come out wrong, and none is as sure as a
gold is of the clear ones. Training and hold-out records are drawn alike, so over random records of D the foreseen
margins should be distributed as the original's are over the hold-out, which it has not seen. The map between the two
distributions (quantile to quantile) is fitted once. A gold has lost a share of D: its hold-out margins lie between the
original's and those of the references, which learned half of D, on a line in the logarithm of the share kept.

A forget set need not be drawn as the hold-out is: it may be harder, or easier. The references that have not seen it
tell. Their margins there, carried from their own scale to a gold's by the same two hold-out distributions, are draws of
what a gold would show on this very set; the foreseen margins keep their order and take those values.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_LEVELS = torch.linspace(0.0005, 0.9995, 400)
_ALIKE = 200  # records of a forget set whose own margins weigh as much as the hold-out's


@dataclass(frozen=True)
class MarginMap:
    """foreseen (Q,): quantiles of foreseen margins. gold (2, Q): hold-out quantiles of the original, of a reference."""

    foreseen: Tensor
    gold: Tensor

    def quantile(self, margins: Tensor, lost: float, unseen: Tensor) -> Tensor:
        """Margins (N,) distributed as those of one gold that has lost the share `lost` of D.

        unseen: (M,), margins of single references on these records, each of a network that never saw the record.
        """
        gold = self.of_gold(lost)
        mapped = interpolated(margins, self.foreseen, gold)
        return torch.lerp(mapped, self._of_this_set(margins, unseen, gold), len(margins) / (len(margins) + _ALIKE))

    def of_gold(self, lost: float) -> Tensor:
        """Hold-out quantiles (Q,) of a gold that has lost the share `lost` of D."""
        return torch.lerp(self.gold[0], self.gold[1], float(np.clip(-np.log2(max(1 - lost, 1e-9)), 0, 1)))

    def as_gold(self, margins: Tensor, lost: float) -> Tensor:
        """Margins (N,) of a reference on a gold's scale."""
        return interpolated(margins, self.gold[1], self.of_gold(lost))

    def _of_this_set(self, margins: Tensor, unseen: Tensor, gold: Tensor) -> Tensor:
        """The references' margins on a gold's scale, in the order of the foreseen ones: (N,)."""
        shown = interpolated(unseen, self.gold[1], gold).to(margins).sort().values
        levels = (torch.arange(len(margins)) + 0.5) / len(margins)
        drawn = torch.empty_like(margins)
        drawn[margins.argsort(stable=True)] = shown[(levels * len(shown)).long()]
        return drawn


def fit_margins(foreseen: Tensor, original: Tensor, reference: Tensor) -> MarginMap:
    """From foreseen margins (N,) of random records of D, and hold-out margins (M,) of the original and of references
    that each learned half of D.
    """
    return MarginMap(quantiles(foreseen), torch.stack([quantiles(original), quantiles(reference)]))


def quantiles(margins: Tensor) -> Tensor:
    """The quantiles (Q,) of margins (N,) at 400 levels."""
    return torch.from_numpy(np.quantile(margins.double().numpy(), _LEVELS.double().numpy())).float()


def margin_of(p: Tensor, labels: Tensor) -> Tensor:
    """Log p_y / (1 - p_y) (N,) of probabilities (N, K), within ±13.8."""
    return p.gather(1, labels[:, None])[:, 0].clamp(1e-6, 1 - 1e-6).logit()


def with_margin(p: Tensor, labels: Tensor, margins: Tensor) -> Tensor:
    """Probabilities (N, K) with these margins; the other classes share the rest as they do in `p`.

    Where `p` leaves them nothing, they share it equally.
    """
    others = p.clamp_min(1e-30).scatter(1, labels[:, None], 0.0)
    others = others / others.sum(1, keepdim=True)
    true = torch.sigmoid(margins)[:, None]
    return (others * (1 - true)).scatter(1, labels[:, None], true)


def interpolated(margins: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Each margin (N,) at the same level of `end` (Q,) as it has in `start` (Q,)."""
    mapped = np.interp(margins.double().numpy(), start.double().numpy(), end.double().numpy())
    return torch.from_numpy(mapped).to(margins.dtype)
