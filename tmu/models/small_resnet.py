"""A residual network for small images on a processor: 78 thousand parameters at width 16, 0.3 million at 32."""

from torch import nn

from tmu.models.blocks import BasicBlock, conv_bn
from tmu.models.registry import Normalise, architecture, width_option


@architecture("small_resnet")
def small_resnet(shape: tuple[int, int, int], classes: int, width: int = 16) -> nn.Module:
    """Three stages of one basic block (He et al. 2016, section 4.2, with n = 1); for small images of 8x8 or more."""
    w = width_option(width)
    return nn.Sequential(
        Normalise(),
        conv_bn(shape[0], w),
        nn.ReLU(inplace=True),
        BasicBlock(w, w),
        BasicBlock(w, 2 * w, stride=2),
        BasicBlock(2 * w, 4 * w, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * w, classes),
    )
