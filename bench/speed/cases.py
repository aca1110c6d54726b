"""What is trained: a network on pictures of one size, for some epochs."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tmu.config import TrainConfig
from tmu.errors import ConfigError
from tmu.models.registry import build

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """images: uint8 (N, 3, H, W), as many labels; those from `n_train` on are for the accuracy."""

    name: str
    network: str
    options: dict[str, int]
    images: Tensor
    labels: Tensor
    n_train: int
    train: TrainConfig

    def model(self, seed: int) -> nn.Module:
        """A fresh network; the same for the same seed."""
        torch.manual_seed(seed)
        shape = (int(self.images.shape[1]), int(self.images.shape[2]), int(self.images.shape[3]))
        return build(self.network, shape, CLASSES, self.options)

    @property
    def held(self) -> slice:
        """The records that are looked at after each epoch where a loop does so: a ninth of those trained on."""
        return slice(self.n_train, self.n_train + self.n_train // 9)

    def in_precision(self, precision: str) -> "Case":
        """The same with the engine in another precision."""
        return replace(self, train=self.train.model_copy(update={"precision": precision}))


@dataclass(frozen=True)
class Size:
    """How much of it. side: pixels. width: of ResNet-9, 0 for ResNet-18. records: trained on; 512 more are tests."""

    name: str
    side: int
    width: int
    records: int
    batch_size: int
    epochs: int


SIZES = (
    Size("ResNet-9, 32 px", 32, 32, 1024, 128, 1),
    Size("ResNet-18, 224 px", 224, 0, 32, 8, 1),
)
TOY = (Size("ResNet-9, 32 px", 32, 4, 64, 32, 1),)


def cases(sizes: tuple[Size, ...], cifar: Path | None) -> list[Case]:
    """One for each size. cifar: a folder with CIFAR-10 as torchvision has it; None: scikit-learn's digits, enlarged.

    Raises ConfigError where the folder holds no CIFAR-10.
    """
    most = max(size.records for size in sizes) + 512
    images, labels = _cifar(cifar, most) if cifar else _digits(most)
    return [_case(size, images, labels) for size in sizes]


def _case(size: Size, images: Tensor, labels: Tensor) -> Case:
    train = TrainConfig(epochs=size.epochs, batch_size=size.batch_size, lr=0.05, augment="flip_shift")
    tests = 512 if size.side <= 64 else 0  # so short a run at 224 pixels learns nothing
    used = images[: size.records + tests]
    if used.shape[-1] != size.side:
        wide = interpolate(used.float(), size=size.side, mode="bilinear", antialias=True)
        used = wide.round().clamp(0, 255).to(torch.uint8)
    network, options = ("resnet9", {"width": size.width}) if size.width else ("torchvision/resnet18", {})
    return Case(size.name, network, options, used, labels[: size.records + tests], size.records, train)


def _digits(most: int) -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target)).repeat(2)[:most]
    grey = torch.from_numpy(np.round(found.images[order] * (255 / 16)).astype(np.uint8))
    return grey[:, None].expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(found.target[order]).long()


def _cifar(folder: Path, most: int) -> tuple[Tensor, Tensor]:
    from torchvision.datasets import CIFAR10

    try:
        found = CIFAR10(str(folder), train=True, download=False)
    except RuntimeError as error:
        raise ConfigError(f"{folder} holds no CIFAR-10.", "It is to hold `cifar-10-batches-py`.") from error
    images = torch.from_numpy(found.data[:most]).permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor(found.targets[:most])
