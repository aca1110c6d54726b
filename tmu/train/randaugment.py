"""RandAugment: some operations out of fourteen on each record, all of one strength (Cubuk et al. 2020).

Operations and strengths are those of `torchvision.transforms.v2.RandAugment`. Records that draw the same one are
changed together where torchvision rounds each pixel by itself or counts in whole numbers; contrast, saturation and
sharpness add fractions, whose rounding may depend on the size of a batch, and go record by record. The draws are read
on the host, once a batch.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tmu.config import TrainConfig
from tmu.train.draws import draw

Operation = Callable[[Tensor, float], Tensor]  # uint8 (n, C, H, W), share of the greatest strength with its sign
STRONGEST = 30
_FIRST_DRAW = 16  # the numbers below it are other steps'
_SHIFT = 150 / 331  # of an image's side


def _one_by_one(change: Operation, images: Tensor, share: float) -> Tensor:
    return torch.cat([change(image[None], 1 + 0.9 * share) for image in images])


def _sheared(images: Tensor, share: float, axis: int) -> Tensor:
    shear = [0.0, 0.0]
    shear[axis] = math.degrees(math.atan(0.3 * share))
    return F.affine(images, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0.0, 0.0])


def _moved(images: Tensor, share: float, axis: int) -> Tensor:
    translate = [0, 0]
    translate[axis] = int(_SHIFT * images.shape[-1 - axis] * share)
    return F.affine(images, angle=0.0, translate=translate, scale=1.0, shear=[0.0, 0.0])


OPERATIONS: dict[str, Operation] = {
    "identity": lambda images, share: images,
    "shear x": partial(_sheared, axis=0),
    "shear y": partial(_sheared, axis=1),
    "move x": partial(_moved, axis=0),
    "move y": partial(_moved, axis=1),
    "rotate": lambda images, share: F.rotate(images, 30 * share),
    "brightness": lambda images, share: F.adjust_brightness(images, 1 + 0.9 * share),
    "saturation": partial(_one_by_one, F.adjust_saturation),
    "contrast": partial(_one_by_one, F.adjust_contrast),
    "sharpness": partial(_one_by_one, F.adjust_sharpness),
    "posterize": lambda images, share: F.posterize(images, 8 - round(4 * abs(share))),
    "solarize": lambda images, share: F.solarize(images, 255 * (1 - abs(share))),
    "autocontrast": lambda images, share: F.autocontrast(images),
    "equalize": lambda images, share: F.equalize(images),
}


def randaugment(images: Tensor, bits: Tensor, config: TrainConfig) -> Tensor:
    """uint8 (N, C, H, W), 1 or 3 channels, changed `operations` times in a row by what each record's bits draw.

    bits: int64 (N,), on the host.
    """
    share, names = config.strength / STRONGEST, list(OPERATIONS)
    for round_ in range(config.operations):
        drawn = draw(bits, _FIRST_DRAW + round_, 2 * len(names))
        changed = images.clone()
        for number in drawn.unique().tolist():
            rows = (drawn == number).nonzero()[:, 0].to(images.device)
            sign = -1.0 if number % 2 else 1.0
            changed[rows] = OPERATIONS[names[number // 2]](images[rows], sign * share)
        images = changed
    return images
