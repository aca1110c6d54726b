"""The views of a batch: the images as the model sees them, scaled to 0..1 and augmented by key.

A view depends on its record's image and on the record's random bits of the epoch alone, bit for bit: whatever else is
in the batch. So the steps of a list go record by record through torchvision's functions wherever these add fractions,
whose rounding may depend on the size of a batch. Steps take and give uint8, and their draws are read on the host, once
a batch. Sources: random resized crop, Szegedy et al. 2015; RandAugment, Cubuk et al. 2020 (`randaugment.py`).
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from tmu.config import Step, TrainConfig
from tmu.errors import ConfigError
from tmu.train.draws import draw, level
from tmu.train.order import augment

_AREAS, _SHAPES = 256, 32  # of a crop: so many areas, and ratios of width to height, to draw from
_RATIO = 4 / 3  # of a crop's sides, at most
_COLOURS = (1, 3)  # channels


def views_of(images: Tensor, bits: Tensor, config: TrainConfig) -> Tensor:
    """uint8 (N, C, H, W) and random bits int64 (N,) to float32 in 0..1 of the same shape."""
    if isinstance(config.augment, str):
        return augment(images, bits, config.augment).float().div_(255)  # moved as bytes: a quarter of the memory
    bits = bits.cpu()
    for step, change in _ORDER.items():
        if step in config.augment:
            images = change(images, bits, config)
    return images.float().div_(255)


def check_views(config: TrainConfig, channels: int) -> None:
    """Raise ConfigError where a step of the augmentation cannot take images of so many channels."""
    steps = () if isinstance(config.augment, str) else config.augment
    bad = [step for step in steps if step in ("colour", "randaugment") and channels not in _COLOURS]
    if bad:
        raise ConfigError(
            f"`{bad[0]}` changes colours, and the images have {channels} channels.",
            "Take it out of `augment`; it is for 1 or 3 channels.",
        )


def _crop(images: Tensor, bits: Tensor, config: TrainConfig) -> Tensor:
    """A random part of each image, of `crop_area` to all of its area, enlarged to the whole size (bilinear)."""
    from torchvision.transforms.v2.functional import resized_crop  # loading it takes a second

    height, width = images.shape[-2:]
    sizes = _crop_sizes(height, width, config.crop_area)
    high, wide = sizes[draw(bits, 0, len(sizes))].unbind(1)
    top, left = draw(bits, 1, height - high + 1), draw(bits, 2, width - wide + 1)
    boxes = torch.stack([top, left, high, wide], 1).tolist()
    cut = [resized_crop(image, *box, size=[height, width]) for image, box in zip(images, boxes, strict=True)]
    return torch.stack(cut)


def _flip(images: Tensor, bits: Tensor, config: TrainConfig) -> Tensor:
    """Half of the images, mirrored from left to right."""
    rows = draw(bits, 3, 2).nonzero()[:, 0].to(images.device)
    return images.index_copy(0, rows, images[rows].flip(-1))


def _colour(images: Tensor, bits: Tensor, config: TrainConfig) -> Tensor:
    """Brightness, contrast and saturation, each times 1 - `colour` to 1 + `colour`, in this order."""
    from torchvision.transforms.v2.functional import adjust_brightness, adjust_contrast, adjust_saturation

    factors = torch.stack([1 + config.colour * level(bits, number) for number in (4, 5, 6)], 1).tolist()
    changed = [
        adjust_saturation(adjust_contrast(adjust_brightness(image, bright), contrast), saturation)
        for image, (bright, contrast, saturation) in zip(images, factors, strict=True)
    ]
    return torch.stack(changed)


def _randaugment(images: Tensor, bits: Tensor, config: TrainConfig) -> Tensor:
    from tmu.train.randaugment import randaugment

    return randaugment(images, bits, config)


_ORDER: dict[Step, Callable[[Tensor, Tensor, TrainConfig], Tensor]] = {
    "crop": _crop,
    "flip": _flip,
    "randaugment": _randaugment,
    "colour": _colour,
}


@cache
def _crop_sizes(height: int, width: int, least: float) -> Tensor:
    """Heights and widths to draw from, int64 (areas x ratios, 2): areas equally likely, ratios by their logarithm."""
    found = []
    for number in range(_AREAS):
        area = (least + (1 - least) * (number + 0.5) / _AREAS) * height * width
        for shape in range(_SHAPES):
            ratio = math.exp(math.log(_RATIO) * (2 * (shape + 0.5) / _SHAPES - 1))
            high, wide = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            found.append((min(max(high, 1), height), min(max(wide, 1), width)))
    return torch.tensor(found)
