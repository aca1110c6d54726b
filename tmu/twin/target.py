"""Soft generalisation labels: the class probabilities that a model which has not seen a record would give.

Ours, in answer to the fragile arg-max label (`docs/method.md`). On the twin problem the gold's probabilities are free:
the original's on the hold-out. A conditional logit (McFadden 1974) learns to predict them from what the seen side
shows; its coefficients are shared by all classes, so a few hundred hold-out records are enough:

    q_k(x)  ∝  exp( Σ_j a_j · f_jk(x)  +  1[k = y] · Σ_i b_i · g_i(x) )

f: log-probabilities of the seen model, of the curriculum nets, and the log share of class k among the nearest kept
records. g: 1, and the predictor's log-odds of "wrong". Fit: cross-entropy to the original's probabilities by L-BFGS.
Cost: negligible beside the features. Failure mode: a shift between hold-out and forget set carries over.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tmu.train import logits_of
from tmu.twin.predictor import Predictor
from tmu.twin.side import Side

_FLOOR = 1e-4


@dataclass(frozen=True)
class TargetModel:
    """Coefficients: a (3,) of the class-wise terms, b (2,) of the true-class terms."""

    a: Tensor
    b: Tensor

    def probabilities(self, side: Side, features: Tensor, predictor: Predictor) -> Tensor:
        """Predicted probabilities (N, K) of an unseen-side model for the side's samples."""
        f, g = _terms(side, predictor.p_wrong(features, side.samples.labels.cpu()))
        return _logits(f, g, side.samples.labels.cpu(), self.a, self.b).softmax(1)


def fit_targets(side: Side, p_wrong: Tensor, unseen: Tensor) -> TargetModel:
    """Fit on the twin side; `unseen` are the original's logits (N, K) on the hold-out.

    `p_wrong` (N,) must be cross-fitted: what the predictor says of its own training records is far surer than what it
    will say of a forget set, and the coefficient would trust it too much.
    """
    f, g = _terms(side, p_wrong)
    labels, goal = side.samples.labels.cpu(), unseen.softmax(1)
    a, b = torch.zeros(f.shape[2], requires_grad=True), torch.zeros(g.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([a, b], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -(goal * _logits(f, g, labels, a, b).log_softmax(1)).sum(1).mean()
        value = value + 1e-4 * (a.square().sum() + b.square().sum())
        value.backward()
        return value

    optimiser.step(loss)
    return TargetModel(a.detach(), b.detach())


def _terms(side: Side, p_wrong: Tensor) -> tuple[Tensor, Tensor]:
    """f (N, K, 3) and g (N, 2)."""
    classes = side.logits.shape[1]
    early = [logits_of(net, side.samples.images, device=side.device).log_softmax(1) for net in side.curriculum]
    f = torch.stack(
        [
            side.logits.log_softmax(1).clamp_min(-12),
            torch.stack(early).mean(0),
            _neighbour_shares(side, classes).clamp_min(_FLOOR).log(),
        ],
        dim=2,
    )
    p = p_wrong.clamp(1e-4, 1 - 1e-4)
    return f, torch.stack([torch.ones_like(p), p.logit()], dim=1)


def _logits(f: Tensor, g: Tensor, labels: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (f @ a).scatter_add(1, labels[:, None], (g @ b)[:, None])


def _neighbour_shares(side: Side, classes: int, k: int = 20, chunk: int = 1024) -> Tensor:
    """Share of each class among the k nearest reference records (N, K); the sample itself is not in the reference."""
    shares = []
    k = min(k, len(side.reference_labels))
    for part in side.phi.split(chunk):
        nearest = torch.cdist(part, side.phi_reference).topk(k, largest=False).indices
        votes = torch.nn.functional.one_hot(side.reference_labels[nearest], classes).float()
        shares.append(votes.mean(1))
    return torch.cat(shares)
