"""CF, the curriculum-loss feature: a record learnt within the first epochs is easy.

Formula: log of the mean, over a few fresh networks trained for two epochs, of the cross-entropy of the true class.
The networks are trained on D ∪ D_h, so that both sides are seen by them (the published code shows them one side only).
Reference: `docs/method.md`, CF. Cost: two epochs a network, once per twin.
Failure mode: networks that have learnt nothing yet, or everything already, rank by chance; their number lowers noise.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tmu.train import logits_of
from tmu.twin.side import Side


def compute(side: Side) -> Tensor:
    """Log mean losses (N,)."""
    labels = side.samples.labels.cpu()
    losses = [
        cross_entropy(logits_of(net, side.samples.images, device=side.device), labels, reduction="none")
        for net in side.curriculum
    ]
    return torch.stack(losses).mean(0).clamp_min(1e-6).log()
