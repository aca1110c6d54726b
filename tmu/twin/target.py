"""Soft generalisation labels: the class probabilities that a model which has not seen a record would give.

Ours, in answer to the fragile arg-max label (`docs/method.md`). On the hold-out such probabilities are free: the
original's, and those of the cross-fit model that was not asked. A conditional logit (McFadden 1974) learns to predict
their mean from what the seen side shows; its coefficients are shared by all classes, so a few hundred hold-out records
are enough:

    q_k(x)  ∝  exp( Σ_j a_j · f_jk(x)  +  1[k = y] · b )

f (`TERMS`): log-probabilities of the cross-fit model that has not seen the record, of the seen model, of the curriculum
nets, and the log share of class k among the nearest kept records. Fit: cross-entropy by L-BFGS. Then the true-class
margins are mapped to a gold's (`margins.py`). The original alone would be a poor goal: the twin model descends from it,
and its outputs would be trusted far more than an independent gold's deserve. Cost: negligible beside the networks.
Failure mode: a shift between hold-out and forget set carries over, as far as the cross-fit models do not show it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tmu.train import logits_of
from tmu.twin.cross_fit import FLOOR
from tmu.twin.margins import MarginMap, fit_margins, margin_of, with_margin
from tmu.twin.side import Side

TERMS = ("unseen", "seen", "early", "neighbours")
_LEAST_SHARE = 1e-4
_LEAST_KEPT = 1e-12  # so that a class of which nothing is left is not predicted, however large the margin


@dataclass(frozen=True)
class TargetModel:
    """Coefficients a (4,) in the order of `TERMS`, b (1,), and the map of the margins.

    Without cross-fit models the coefficient of `unseen` is 0.
    """

    a: Tensor
    b: Tensor
    margins: MarginMap

    def probabilities(self, side: Side, *, lost: Tensor | None = None) -> Tensor:
        """Predicted probabilities (N, K) of a gold for the side's samples.

        The margins are distributed as the cross-fit models' are on these very samples, brought to a gold's scale. A
        model that was fitted without cross-fit models does without them here.

        `lost`: by class, the share (K,) of D that the gold does without, and in its last place (K+1) that of all of D;
        None for none.
        """
        labels = side.samples.labels.cpu()
        q = self.raw(terms_of(side), labels)
        lost = torch.zeros(q.shape[1] + 1) if lost is None else lost
        told = side.unseen is not None and float(self.a[TERMS.index("unseen")]) != 0
        unseen = margin_of(side.unseen.exp(), labels) if told else None
        margins = self.margins.apply(margin_of(q, labels), float(lost[-1]), unseen)
        return with_margin(q, labels, moved_by_loss(margins, labels, lost))

    def raw(self, f: Tensor, labels: Tensor) -> Tensor:
        """The conditional logit alone: (N, K) of terms (N, K, 4)."""
        return _logits(f, labels, self.a, self.b).softmax(1)


def moved_by_loss(margins: Tensor, labels: Tensor, lost: Tensor) -> Tensor:
    """Margins (N,) of a gold that lost the shares `lost` (K+1,), see `TargetModel.probabilities`.

    A gold that lost more of a class than of the rest predicts it less often: the true class's margin moves by
    log (1 - lost_c) / (1 - lost).
    """
    kept = (1 - lost.double()).clamp_min(_LEAST_KEPT).log()
    return margins + (kept[:-1] - kept[-1]).to(margins)[labels]


def fit_targets(
    f: Tensor, labels: Tensor, original: Tensor, other: Tensor | None, calibrate: tuple[Tensor, Tensor]
) -> TargetModel:
    """Fit on the hold-out: terms f (N, K, 4) under the twin model, labels (N,), logits (N, K) of the original, and
    log-probabilities (N, K) of the cross-fit model that f does not show (None: there is none).

    `calibrate`: terms and labels of random records of D under the original.
    """
    unseen = original.softmax(1)
    goal = unseen if other is None else (unseen + other.exp()) / 2
    used = torch.tensor([name != "unseen" or other is not None for name in TERMS])
    a, b = _fit(f[:, :, used], labels, goal)
    full = torch.zeros(len(TERMS)).masked_scatter(used, a)
    of_halves = None if other is None else margin_of(other.softmax(1), labels)
    predicted = margin_of(_logits(calibrate[0], calibrate[1], full, b).softmax(1), calibrate[1])
    return TargetModel(full, b, fit_margins(predicted, margin_of(unseen, labels), of_halves))


def terms_of(side: Side) -> Tensor:
    """f (N, K, 4)."""
    classes = side.logits.shape[1]
    early = [logits_of(net, side.samples.images, device=side.device).log_softmax(1) for net in side.curriculum]
    seen = side.logits.log_softmax(1).clamp_min(FLOOR)
    return torch.stack(
        [
            torch.zeros_like(seen) if side.unseen is None else side.unseen,
            seen,
            torch.stack(early).mean(0) if early else torch.zeros_like(seen),
            _neighbour_shares(side, classes).clamp_min(_LEAST_SHARE).log(),
        ],
        dim=2,
    )


def _fit(f: Tensor, labels: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    a, b = torch.zeros(f.shape[2], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([a, b], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -(goal * _logits(f, labels, a, b).log_softmax(1)).sum(1).mean()
        value = value + 1e-4 * (a.square().sum() + b.square().sum())
        value.backward()
        return value

    optimiser.step(loss)
    return a.detach(), b.detach()


def _logits(f: Tensor, labels: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (f @ a).scatter_add(1, labels[:, None], b.expand(len(labels))[:, None])


def _neighbour_shares(side: Side, classes: int, k: int = 20, chunk: int = 1024) -> Tensor:
    """Share of each class among the k nearest reference records (N, K); the sample itself is not in the reference."""
    shares = []
    k = min(k, len(side.reference_labels))
    for part in side.phi.split(chunk):
        nearest = torch.cdist(part, side.phi_reference).topk(k, largest=False).indices
        votes = torch.nn.functional.one_hot(side.reference_labels[nearest], classes).float()
        shares.append(votes.mean(1))
    return torch.cat(shares)
