"""What the engine trains on: images, targets, and per record a key, a weight and an input noise."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tmu.train.source import Pictures, joined, taken


@dataclass(frozen=True)
class Examples:
    """N records as tensors that stay on one device; the images of a set larger than memory stay in files.

    images: uint8 (N, C, H, W), a tensor or `Streamed`. labels: int64 (N,), the true classes. keys: int64 (N,), 64 bits
    of each record's HMAC key; order and augmentation depend on them. targets: float32 (N, K) class probabilities to
    learn, or None for the labels themselves. weights: float32 (N,) factors of each record's loss, or None for 1. noise:
    float32 (N,) standard deviation of Gaussian input noise in pixel units (0..1), or None for none.
    """

    images: Pictures
    labels: Tensor
    keys: Tensor
    targets: Tensor | None = None
    weights: Tensor | None = None
    noise: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "Examples":
        """The given rows (index or boolean mask), in that order."""
        fields: dict[str, Any] = {
            name: None if value is None else taken(value, rows) for name, value in vars(self).items()
        }
        return Examples(**fields)

    def to(self, device: torch.device | str) -> "Examples":
        """The same records on another device."""
        fields: dict[str, Any] = {
            name: None if value is None else value.to(device) for name, value in vars(self).items()
        }
        return Examples(**fields)

    def taught(self, targets: Tensor, *, weight: float = 1.0, noise: float | Tensor = 0.0) -> "Examples":
        """The same records with other targets: class probabilities (N, K), see `as_probabilities` for labels."""
        weights = torch.full((len(self),), float(weight), device=self.labels.device)
        sigma = noise if isinstance(noise, Tensor) else torch.full((len(self),), float(noise))
        return replace(self, targets=targets.float(), weights=weights, noise=sigma.float().to(self.labels.device))


def as_probabilities(labels: Tensor, classes: int) -> Tensor:
    """Class indices (N,) as float32 one-hot rows (N, K)."""
    return one_hot(labels, classes).float()


def join(first: Examples, second: Examples, classes: int) -> Examples:
    """Two sets as one; missing targets, weights and noise become the labels, 1 and 0."""
    return Examples(
        images=joined([first.images, second.images]),
        labels=torch.cat([first.labels, second.labels]),
        keys=torch.cat([first.keys, second.keys]),
        targets=torch.cat([_targets(part, classes) for part in (first, second)]),
        weights=torch.cat([_filled(part.weights, part, 1.0) for part in (first, second)]),
        noise=torch.cat([_filled(part.noise, part, 0.0) for part in (first, second)]),
    )


def _targets(part: Examples, classes: int) -> Tensor:
    return as_probabilities(part.labels, classes) if part.targets is None else part.targets


def _filled(values: Tensor | None, part: Examples, default: float) -> Tensor:
    return torch.full((len(part),), default, device=part.labels.device) if values is None else values
