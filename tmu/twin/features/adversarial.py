"""AF, the adversarial-attack feature: a record whose output moves much under attack is hard.

Formula: log KL( p(x) ‖ p(x_adv) ), x_adv by projected gradient ascent on the cross-entropy in an L-infinity ball;
epsilon in pixel units (0..1), x_adv clamped to the valid range, step epsilon / 3. The published code takes raw logits
for p(x) and ignores the epsilon it is given; neither is repeated. The logarithm only spreads the values.
Reference: `docs/method.md`, AF. Cost: `attack_steps` forward and backward passes over the samples. Failure
mode: where the model is so sure that its gradient underflows, nothing moves and the record passes for easy.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from tmu.train.lane import exact
from tmu.train.memory_format import moved
from tmu.twin.side import Side


def compute(side: Side, batch_size: int = 512) -> Tensor:
    """Log divergences (N,) under the side's model."""
    model, parts = moved(side.model, side.device), []
    with exact():
        for start in range(0, len(side.samples), batch_size):
            rows = slice(start, start + batch_size)
            views = side.samples.images[rows].to(side.device).float() / 255
            labels = side.samples.labels[rows].to(side.device)
            attacked = attack(model, views, labels, side.config.attack_epsilon, side.config.attack_steps)
            with torch.no_grad():
                after = model(attacked).log_softmax(1).cpu()
            parts.append(kl_div(after, side.logits[rows].log_softmax(1), reduction="none", log_target=True).sum(1))
    return torch.cat(parts).clamp_min(1e-9).log()


def attack(model: nn.Module, views: Tensor, labels: Tensor, epsilon: float, steps: int) -> Tensor:
    """PGD from the clean views (N, C, H, W) in 0..1, without random start: deterministic."""
    model.eval()
    attacked = views.clone()
    for _ in range(steps):
        attacked.requires_grad_(True)
        (gradient,) = torch.autograd.grad(cross_entropy(model(attacked), labels, reduction="sum"), attacked)
        attacked = attacked.detach() + epsilon / 3 * gradient.sign()
        attacked = (views + (attacked - views).clamp(-epsilon, epsilon)).clamp(0, 1)
    return attacked
