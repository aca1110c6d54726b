"""ResNet-18 for small images: 3x3 stem, no max pooling, 11.2 million parameters."""

from torch import nn

from tmu.models.blocks import BasicBlock, conv_bn
from tmu.models.registry import Normalise, architecture

_STAGES = (64, 128, 256, 512)


@architecture("resnet18")
def resnet18(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """He et al. 2016, table 1, with the CIFAR stem of section 4.2 (as unlearning papers use it)."""
    blocks: list[nn.Module] = []
    inputs = _STAGES[0]
    for stage, channels in enumerate(_STAGES):
        blocks += [BasicBlock(inputs, channels, stride=1 if stage == 0 else 2), BasicBlock(channels, channels)]
        inputs = channels
    return nn.Sequential(
        Normalise(),
        conv_bn(shape[0], _STAGES[0]),
        nn.ReLU(inplace=True),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(_STAGES[-1], classes),
    )
