"""The network of airbench94, and its multi-crop answers.

Source: Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498, section 3 and appendix. Frozen
whitening of 2x2 patches; three groups of two convolutions that begin as identities; normalisation without scale; the
output divided by nine.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tmu.models.registry import Normalise

_SIDE = 2  # of a whitened patch
_INNER = 2 * 3 * _SIDE**2  # plus and minus each eigenvector of a patch
_PATCHES_OF = 5000  # pictures
_EPSILON = 5e-4
_SHARE = 0.4  # of a batch, in the running statistics


class Norm(nn.BatchNorm2d):
    """Batch normalisation that learns a bias alone; the bias counts `factor` times.

    Under SGD a bias that counts f times learns f² times as fast.
    """

    def __init__(self, channels: int, factor: float) -> None:
        super().__init__(channels, eps=1e-12, momentum=_SHARE)
        self.weight.requires_grad_(False)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same."""
        mean, variance, bias = self.running_mean, self.running_var, self.bias * self.factor
        return F.batch_norm(x, mean, variance, self.weight, bias, self.training, _SHARE, self.eps)


class Airbench(nn.Module):
    """Pictures (N, 3, 32, 32) to logits (N, K). normalise: pixels come in 0..1, and not normalised already."""

    def __init__(
        self, classes: int, widths: tuple[int, int, int], *, normalise: bool = True, factor: float = 1.0
    ) -> None:
        super().__init__()
        self.normalise = Normalise() if normalise else nn.Identity()
        self.whiten = nn.Conv2d(3, _INNER, _SIDE)
        self.whiten.weight.requires_grad_(False)
        sizes = zip((_INNER, *widths[:2]), widths, strict=True)
        self.groups = nn.Sequential(*(_group(inputs, outputs, factor) for inputs, outputs in sizes))
        self.head = nn.Linear(widths[-1], classes, bias=False)
        nn.init.zeros_(self.whiten.bias)
        for module in self.groups.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.dirac_(module.weight[: module.in_channels].data)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.groups(F.gelu(self.whiten(self.normalise(x))))
        return self.head(F.max_pool2d(x, 3).flatten(1)) / 9

    @torch.no_grad()
    def see(self, pixels: Tensor) -> "Airbench":
        """Take the whitening from pictures (N, 3, 32, 32) as `forward` gets them."""
        seen = self.normalise(pixels[:_PATCHES_OF])
        patches = F.unfold(seen, _SIDE).transpose(1, 2).reshape(-1, 3 * _SIDE**2).double()
        values, vectors = torch.linalg.eigh(patches.T.cov())
        scaled = (vectors / (values + _EPSILON).sqrt()).T.flip(0)
        self.whiten.weight.copy_(torch.cat([scaled, -scaled]).reshape(-1, 3, _SIDE, _SIDE))
        return self


def _group(inputs: int, outputs: int, factor: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        Norm(outputs, factor),
        nn.GELU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        Norm(outputs, factor),
        nn.GELU(),
    )


@torch.no_grad()
def multi_crop(net: nn.Module, pixels: Tensor) -> Tensor:
    """Logits (N, K) of pictures as `net` takes them: as they are and shifted by a pixel two ways, each mirrored too.

    The picture as it is counts half, the shifted ones a quarter each.
    """
    found = []
    for part in pixels.split(2000):
        wide = F.pad(part, (1, 1, 1, 1), mode="reflect")
        views = (part, wide[:, :, :-2, :-2], wide[:, :, 2:, 2:])
        both = [(net(view) + net(view.flip(-1))).float() / 2 for view in views]
        found.append(both[0] / 2 + (both[1] + both[2]) / 4)
    return torch.cat(found)
