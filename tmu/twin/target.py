"""A conditional logit over class probabilities: what a model that never saw a record would say of it.

McFadden 1974. Coefficients are shared by all classes, so a few hundred records are enough:

    q_k(x)  ∝  exp( Σ_j a_j · f_jk(x)  +  1[k = y] · b )

Fit: cross-entropy against the goals, by L-BFGS. What the terms f are and where goals come from: `reference_twin.py`.
"""

import torch
from torch import Tensor

_LEAST_KEPT = 1e-12  # so that a class of which nothing is left is not predicted, however large the margin


def fit_logit(f: Tensor, labels: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
    """A (J,) and b (1,) from terms f (N, K, J), labels (N,) and the probabilities (N, K) to foresee."""
    a, b = torch.zeros(f.shape[2], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([a, b], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = -(goals * _logits(f, labels, a, b).log_softmax(1)).sum(1).mean()
        value = value + 1e-4 * (a.square().sum() + b.square().sum())
        value.backward()
        return value

    optimiser.step(loss)
    return a.detach(), b.detach()


def logit_answers(f: Tensor, labels: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Foreseen probabilities (N, K) from terms (N, K, J)."""
    return _logits(f, labels, a, b).softmax(1)


def moved_by_loss(margins: Tensor, labels: Tensor, lost: Tensor) -> Tensor:
    """Margins (N,) of a gold that lost the shares `lost` (K+1,): by class, and in the last place of all of D.

    A gold that lost more of a class than of the rest predicts it less often: the true class's margin moves by
    log (1 - lost_c) / (1 - lost).
    """
    kept = (1 - lost.double()).clamp_min(_LEAST_KEPT).log()
    return margins + (kept[:-1] - kept[-1]).to(margins)[labels]


def _logits(f: Tensor, labels: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (f @ a).scatter_add(1, labels[:, None], b.expand(len(labels))[:, None])
