"""What an objective sees and says, and what else a caller of `fit` may hand in."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """What an objective sees: views float (B, C, H, W) in 0..1, rows of the examples, their fields.

    done: the share of the run's steps that lie behind, 0 <= done < 1, for losses that change on the way.
    """

    views: Tensor
    rows: Tensor
    labels: Tensor
    targets: Tensor
    weights: Tensor | None
    done: float = 0.0


Objective = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]  # → (loss to minimise, logits (B, K))
# (model, steps done) → None; may change the weights in place. A function of these two alone: a resumed run calls it
# from the snapshot's step on, so what it remembered from earlier steps would be lost.
AfterStep = Callable[[nn.Module, int], None]
Sampler = Callable[[int], list[Tensor]]  # epoch → the rows of each of its batches; as many batches in every epoch


def soft_cross_entropy(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """mean_i w_i · CE(target_i, p_i): cross-entropy against probabilities, weights not normalised."""
    logits = model(batch.views).float()
    losses = -(batch.targets * logits.log_softmax(1)).sum(1)
    return (losses if batch.weights is None else losses * batch.weights).mean(), logits
