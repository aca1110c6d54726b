"""A fresh linear head on the features of a body.

Multinomial logistic regression on phi / mean ||phi|| x 10, loss = sum of cross-entropies + ||W, b||^2 / 2, by L-BFGS
from zero in double precision. The bias is penalised, too: a class that was forgotten whole has no record to fit on, and
its bias would run away. Convex, so neither seed nor start matters.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from tmu.train.examples import Examples
from tmu.train.order import epoch_order, stream

SCALE = 10.0
_ITERATIONS = 200


def some(examples: Examples, most: int, seed: int, purpose: str) -> Examples:
    """At most `most` of the records, chosen by hash of key, seed and purpose, in their order."""
    order = epoch_order(examples.keys, stream(seed, purpose), 0)
    return examples.take(order[:most].sort().values)


class Head:
    """A fitted head: logits = (phi / scale, 1) @ weights, `weights` float64 (F + 1, K), the last row the bias."""

    def __init__(self, weights: Tensor, scale: Tensor) -> None:
        self.weights, self.scale = weights, scale

    def logits(self, features: Tensor) -> Tensor:
        """What the head says of features (N, F): float32 (N, K)."""
        return (_with_one(features / self.scale) @ self.weights).float()


def fit_head(features: Tensor, labels: Tensor, classes: int) -> Head:
    """The ridge-penalised multinomial logistic regression of labels (N,) on features (N, F)."""
    scale = (features.double().norm(dim=1).mean() / SCALE).clamp_min(1e-12)
    inputs = _with_one(features / scale)
    weights = torch.zeros(inputs.shape[1], classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=_ITERATIONS, tolerance_grad=1e-5, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = cross_entropy(inputs @ weights, labels, reduction="sum") + weights.square().sum() / 2
        (total / len(labels)).backward()
        return total / len(labels)

    optimiser.step(loss)
    return Head(weights.detach(), scale)


def _with_one(features: Tensor) -> Tensor:
    """Features (N, F) in double precision with a column of ones, (N, F + 1)."""
    return pad(features.double(), (0, 1), value=1.0)
