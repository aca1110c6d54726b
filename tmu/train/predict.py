"""Outputs of a trained model over a whole set, in one pass: logits and penultimate features."""

import torch
from torch import Tensor, nn

from tmu.models.registry import penultimate
from tmu.train.lane import exact
from tmu.train.memory_format import arranged, moved


@torch.no_grad()
def predict(
    model: nn.Module, images: Tensor, *, batch_size: int = 512, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Logits (N, K) and penultimate features (N, F), float32 on the CPU, of uint8 images (N, C, H, W), in fp32."""
    moved(model, device).eval()
    logits, features = [], []
    with exact():
        for start in range(0, len(images), batch_size):
            views = images[start : start + batch_size].to(device).float() / 255
            z, phi = penultimate(model, arranged(views, model))
            logits.append(z.float().cpu())
            features.append(phi.float().cpu())
    return torch.cat(logits), torch.cat(features)


def logits_of(model: nn.Module, images: Tensor, *, batch_size: int = 512, device: torch.device | str = "cpu") -> Tensor:
    """The logits of `predict` alone."""
    return predict(model, images, batch_size=batch_size, device=device)[0]
