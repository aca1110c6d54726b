"""ResNet-9, the DAWNBench form: few wide layers, 6.6 million parameters at width 64."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from tmu.models.blocks import conv_bn
from tmu.models.registry import Normalise, architecture, width_option


@architecture("resnet9")
def resnet9(shape: tuple[int, int, int], classes: int, width: int = 64) -> nn.Module:
    """Two residual pairs between pooled convolutions (Page 2018, "How to train your ResNet"); images of 8x8 or more."""
    w = width_option(width)
    return nn.Sequential(
        Normalise(),
        _conv(shape[0], w),
        _conv(w, 2 * w, pool=True),
        _Pair(2 * w),
        _conv(2 * w, 4 * w, pool=True),
        _conv(4 * w, 8 * w, pool=True),
        _Pair(8 * w),
        _Highest(),
        nn.Flatten(),
        nn.Linear(8 * w, classes),
    )


class _Highest(nn.Module):
    """The highest value of each channel, wherever it is.

    As `AdaptiveMaxPool2d(1)` bit for bit, whose gradient has no deterministic kernel on a GPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1)."""
        return max_pool2d(x, x.shape[-2:])


class _Pair(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.body(x))


def _conv(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    """The largest of four is taken before the ReLU: the same values and gradients, with a quarter of the work."""
    pools = [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(*conv_bn(inputs, outputs), *pools, nn.ReLU(inplace=True))
