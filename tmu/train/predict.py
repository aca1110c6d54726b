"""Outputs of a trained model over a whole set, in one pass: logits and penultimate features."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tmu.models.registry import penultimate
from tmu.train.lane import exact
from tmu.train.memory_format import arranged, moved
from tmu.train.source import Pictures, in_batches

CPU_BATCH = 64
"""Pictures at a time on a processor, at most: their activations stay in its caches, and 512 take twice as long."""


def predict(
    model: nn.Module, images: Pictures, *, batch_size: int = 512, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Logits (N, K) and penultimate features (N, F), float32 on the CPU, of uint8 images (N, C, H, W), in fp32."""
    found = list(_passes(model, images, batch_size, device))
    return torch.cat([logits for logits, _ in found]), torch.cat([features for _, features in found])


def logits_of(
    model: nn.Module, images: Pictures, *, batch_size: int = 512, device: torch.device | str = "cpu"
) -> Tensor:
    """The logits of `predict` alone."""
    return torch.cat([logits for logits, _ in _passes(model, images, batch_size, device)])


@torch.no_grad()
def _passes(
    model: nn.Module, images: Pictures, batch_size: int, device: torch.device | str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits and features of one batch after the other."""
    moved(model, device).eval()
    with exact():
        for batch in in_batches(images, batch_on(batch_size, device), device):
            z, phi = penultimate(model, arranged(batch.float() / 255, model))
            yield z.float().cpu(), phi.float().cpu()


def batch_on(batch_size: int, device: torch.device | str) -> int:
    """The pictures that go through a model at a time, where `batch_size` may."""
    return min(batch_size, CPU_BATCH) if torch.device(device).type == "cpu" else batch_size
