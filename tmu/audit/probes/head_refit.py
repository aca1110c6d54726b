"""Head refit: what does the body of a model still know, whatever its last layer says?

A fresh linear head is fitted on the penultimate features of retain records under the frozen body, and answers for the
forget set in the model's place. Distilling a retrained model's answers into the last layer alone satisfies every number
that is computed from outputs; with a fresh head such a model answers as the original does (the observation behind
IDI, the information difference index). Forget records never enter the fit, so what the head knows of them comes from
the body.

Fit: multinomial logistic regression on phi / mean ||phi|| x 10, loss = sum of cross-entropies + ||W, b||^2 / 2, by
L-BFGS from zero in double precision. The bias is penalised, too: a class that was forgotten whole has no retain
record, and its bias would run away. Convex, so neither seed nor start matters.
Direction: UA and confidence of the refitted model → the gold's, its activation distance to refitted golds ↓.
Floor: the golds among themselves, each with a fresh head. Cost: one pass over forget set and fitted records, then
O(records x width x classes x 100). Failure mode: it sees what is linear in the last features; a trace that is not, or
lies in earlier layers, escapes. IDI's mutual information over several layers would see more, at a training a layer.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from tmu.errors import DataError
from tmu.train import Examples
from tmu.train.order import epoch_order, stream
from tmu.train.predict import predict

SCALE = 10.0
_ITERATIONS = 200


def head_refit(
    model: nn.Module,
    forget: Examples,
    retain: Examples,
    *,
    records: int,
    seed: int,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Logits (N, K), float32, of the forget set under `model`'s body and a head fitted on `records` retain records.

    Which retain records: by hash of key and `seed`, so the same ones for every model. Raises DataError without any.
    """
    if not len(retain) or not len(forget):
        raise DataError("There is no kept or no forgotten record to probe.", "Both sets need at least one.")
    chosen = some(retain, records, seed, "head refit")
    logits, features = predict(model, chosen.images, batch_size=batch_size, device=device)
    head = fit_head(features, chosen.labels.cpu(), logits.shape[1])
    _, asked = predict(model, forget.images, batch_size=batch_size, device=device)
    return head.logits(asked)


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
