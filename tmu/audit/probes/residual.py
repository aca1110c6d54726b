"""Residual knowledge: near a forgotten record, is the model still surer of its class than a retrained one?

r(x, y) = Pr[ argmax theta_u(x') = y ] / Pr[ argmax theta_r(x') = y ], x' = x + noise (RURK, arXiv 2601.22359), with
Gaussian noise of standard deviation .03 in pixel units (0..1) on every pixel, 100 draws, not clamped to 0..1: clamping
would halve the noise of black and white pixels. Each probability is (hits + 1) / (draws + 1): a plain share could be 0
over 0. Both models see the same noise, which depends on seed and record key alone, never on the record's position.
Direction: 1 is best; above 1 means traces near the record, below 1 that it was driven out beyond a retrain. Reported
per record, as mean, and as share of records above 1.
Floor: never assume 1 and 0 %: the mean of ratios lies above 1 by chance, and two golds differ. Run it with a further
gold in the unlearned model's place. Cost: draws x N forward passes of each model; its hits serve every comparison.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tmu.train.order import hash_keys, stream

RADIUS = 0.03
DRAWS = 100

Classifier = Callable[[Tensor], Tensor]  # views float32 (B, C, H, W), about 0..1 → logits (B, K), in evaluation mode


def residual_hits(
    model: Classifier,
    images: Tensor,
    labels: Tensor,
    keys: Tensor,
    *,
    seed: int,
    radius: float = RADIUS,
    draws: int = DRAWS,
) -> Tensor:
    """How many of `draws` noisy views of each image `model` gives the image's class: int64 (N,), 0..draws.

    uint8 images (N, C, H, W) with true classes (N,) and int64 keys (N,).
    """
    starts = [int(value) >> 1 for value in hash_keys(keys, stream(seed, "residual"))]
    hits = torch.zeros(len(images), dtype=torch.int64)
    for place, start in enumerate(starts):
        hits[place] = _named(model, _around(images[place], radius, draws, start), labels[place])
    return hits


def _around(image: Tensor, radius: float, draws: int, start: int) -> Tensor:
    """`draws` noisy views (draws, C, H, W), float32, of one uint8 image; drawn on the CPU, the same on any device."""
    generator = torch.Generator().manual_seed(start)
    noise = torch.randn(draws, *image.shape, generator=generator).to(image.device)
    return image.float() / 255 + radius * noise


@torch.no_grad()
def _named(model: Classifier, views: Tensor, label: Tensor) -> int:
    """How many of the views the model gives the class `label`."""
    return int((model(views).argmax(1).cpu() == label.cpu()).sum())
