"""What the twin problems of the references teach, as numbers: how to foresee a gold's answers, and how to step.

A reference network has not seen the half of D that the original has: it is the gold of that twin problem, in hand, and
the half is distributed as D is by construction. Ours; it replaces the fine-tuned twin (`docs/method.md`).

Targets: a conditional logit (McFadden 1974), its coefficients shared by all classes, foresees the outputs of a network
that never saw the record:

    q_k(x)  ∝  exp( Σ_j a_j · f_jk(x)  +  1[k = y] · b )

f (`TERMS`): log of the mean probability and mean log-probability of the references that never saw the record, and
log-probability of the original. Then margins are mapped to a gold's (`margins.py`), and to what the references show on
this very forget set. Failure mode: with half of D a network knows less than a gold does; the map corrects what the
hold-out shows of it, not what single records do.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tmu.references.rows import FLOOR, ReferenceRows
from tmu.twin.margins import MarginMap, fit_margins, interpolated, margin_of, quantiles, with_margin
from tmu.twin.replay import StepPlan
from tmu.twin.shape import shape_of_step
from tmu.twin.target import fit_logit, logit_answers, moved_by_loss

TERMS = ("mean", "mean of logs", "original")
_LEAST = 6e-6  # probability, e^FLOOR
_FEWEST_KNOWN = 100  # outputs on either side, for acquaintance to show
_RECORDS = 4000  # of each network, at most, on which the logit is fitted


@dataclass(frozen=True)
class Rate:
    """What was chosen for forget sets of about `records`: peak learning rate, and lead of the targets in nats."""

    records: int
    lr: float
    lead: float


@dataclass(frozen=True)
class ReferenceTwin:
    """Coefficients a (3,) in the order of `TERMS`, b (1,), the map of the margins, and rates by ascending size."""

    a: Tensor
    b: Tensor
    margins: MarginMap
    rates: tuple[Rate, ...] = ()

    def targets(self, rows: ReferenceRows, original: Tensor, lost: Tensor, lead: float = 0.0) -> Tensor:
        """Probabilities (N, K) that a gold would give the records of a forget set.

        original: log-probabilities (N, K) of the model that learned them. lost: by class the share (K,) of D that goes,
        in its last place (K+1) that of all. lead: nats by which the true class's margin is lowered, since a short step
        lags behind its targets.
        """
        q = logit_answers(terms(rows, original), rows.labels, self.a, self.b)
        single = rows.margins()[~rows.seen]
        margins = self.margins.quantile(margin_of(q, rows.labels), float(lost[-1]), single)
        return with_margin(q, rows.labels, moved_by_loss(margins, rows.labels, lost) - lead)

    def plan(self, records: int) -> StepPlan:
        """The step for a forget set of this size."""
        rate = self.rate(records)
        return StepPlan(*shape_of_step(records), rate.lr, rate.lead)

    def rate(self, records: int) -> Rate:
        """Rate and lead for this size: as many times the usual rate as was chosen for sizes near it.

        Between sizes by their logarithm, beyond those that were tried as for the nearest.
        """
        sizes = [math.log(rate.records) for rate in self.rates]
        times = [math.log(rate.lr / usual_rate(rate.records, 1.0)) for rate in self.rates]
        at = math.log(records)
        factor = math.exp(float(np.interp(at, sizes, times)))
        lead = float(np.interp(at, sizes, [rate.lead for rate in self.rates]))
        return Rate(records, factor * usual_rate(records, 1.0), lead)


def usual_rate(records: int, peak: float) -> float:
    """The peak rate of a step for so many records: a tenth of the recipe's for 30, half of it from 1,200 on.

    Found on Fashion-MNIST (docs/decisions/0015-references.md): a larger set bears, and needs, a higher rate.
    """
    return peak * min(0.1 * (records / 30) ** 0.44, 0.5)


def terms(rows: ReferenceRows, original: Tensor) -> Tensor:
    """F (N, K, 3) from the networks that never saw each record, and the original's log-probabilities (N, K)."""
    weights = (~rows.seen).float()
    of_logs = (rows.logp * weights[:, :, None]).sum(1) / weights.sum(1).clamp_min(1)[:, None]
    return torch.stack([rows.unseen().clamp_min(_LEAST).log(), of_logs, original.clamp_min(FLOOR)], 2)


@dataclass(frozen=True, eq=False)
class Unseen:
    """Hold-out records: rows (H), the original's log-probabilities (H, K), and which networks know whose they are.

    acquainted: bool (H, M), the networks that learned other records of the same person; None where there are none.
    """

    rows: ReferenceRows
    original: Tensor
    acquainted: Tensor | None = None


def fit_answers(rows: ReferenceRows, original: Tensor, holdout: Unseen) -> ReferenceTwin:
    """The twin without rates.

    rows: random records of D; original: its log-probabilities (N, K) of them. Each network in turn is the gold: the
    logit foresees it from the others. Needs two pairs: without a network left that never saw a record there is nothing
    to foresee it from.
    """
    f, labels, goals = _left_out(rows, original)
    a, b = fit_logit(f, labels, goals)
    foreseen = margin_of(logit_answers(terms(rows, original), rows.labels, a, b), rows.labels)
    return ReferenceTwin(a, b, fit_margins(foreseen, *_of_strangers(holdout)))


def _of_strangers(holdout: Unseen) -> tuple[Tensor, Tensor]:
    """Margins of the original, and of single references, on records of people whom neither knows.

    The original knows everybody in D, also by their hold-out records. What such acquaintance adds shows between the
    references that know a person and those that do not: the original's margins are carried from the one distribution
    to the other. A gold that never saw a person is no more acquainted with them.
    """
    margins, own = holdout.rows.margins(), margin_of(holdout.original.exp(), holdout.rows.labels)
    known = holdout.acquainted
    if known is None or int(known.sum()) < _FEWEST_KNOWN or int((~known).sum()) < _FEWEST_KNOWN:
        return own, margins.flatten()
    by_person = known.any(1)
    carried = interpolated(own[by_person], quantiles(margins[known]), quantiles(margins[~known]))
    return torch.cat([own[~by_person], carried]), margins[~known]


def _left_out(rows: ReferenceRows, original: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Terms, labels and goals, network by network, of the records that it never saw."""
    f, labels, goals = [], [], []
    for net in range(rows.nets):
        chosen = (~rows.seen[:, net]).nonzero()[:, 0][:_RECORDS]
        part = rows.take(chosen)
        f.append(terms(part.without([net]), original[chosen]))
        labels.append(part.labels)
        goals.append(part.logp[:, net].exp())
    return torch.cat(f), torch.cat(labels), torch.cat(goals)
