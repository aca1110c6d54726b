"""3x3 convolutions with a quarter of the products, F(4x4, 3x3), where a training gains from it.

A processor with AVX2 alone spends most of a step in the products of convolutions, and oneDNN's direct kernels are near
what it can do. Winograd's method computes a tile of 4x4 outputs from 36 products a pair of channels in place of 144:
tiles and kernels are transformed, multiplied as 36 matrices, and transformed back. Rounding is another one (about 1e-5
of the outputs in place of 1e-6), so weights are not those of the direct method. Source: Lavin, Gray 2016,
arXiv:1509.09308.

Who gets it is a rule of precision, processor and shapes. It is measured, in `bench.speed`: fp32, AVX2 without AVX-512
(with it oneDNN's own kernels are as fast or faster), 128 channels or more on both sides, and 128 tiles or more.
A model in evaluation mode answers by the direct method, as it does later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial

import torch
from torch import Tensor, nn

_CHANNELS, _TILES, _SIDE = 128, 128, 32  # at least, at least, at most
_OUT, _IN = 4, 6  # pixels of a tile, and those that it reads, along a side

# that paper, section 4.1 and its companion code: of 6 pixels, of 3 weights, of 6 products
_PIXELS = (
    (4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1),
)  # fmt: skip
_WEIGHTS = (
    (1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1),
)  # fmt: skip
_PRODUCTS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


@contextmanager
def fewer_products(model: nn.Module, precision: str, device: torch.device) -> Iterator[None]:
    """Inside, convolutions of a model in training mode that gain from it are computed this way."""
    parts = model.modules() if _gains(precision, device) else ()
    chosen = [part for part in parts if isinstance(part, nn.Conv2d) and _may_gain(part)]
    for part in chosen:
        part.forward = partial(_forward, part)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for part in chosen:
            del part.forward


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    """`conv2d(x, weight, padding=1)` of x (N, C, H, W) and weight (K, C, 3, 3), with gradients; lies channels last."""
    (n, channels, height, width), outputs = x.shape, len(weight)
    down, up = _along(height)
    right, left = _along(width)
    rows, cols = len(down) // _IN, len(right) // _IN
    tiles = torch.bmm(down.expand(n, -1, -1), x.permute(0, 2, 3, 1).reshape(n, height, width * channels))
    tiles = torch.bmm(right.expand(n * _IN * rows, -1, -1), tiles.reshape(n * _IN * rows, width, channels))
    tiles = tiles.reshape(n, _IN, rows, _IN, cols, channels).permute(1, 3, 0, 2, 4, 5)
    kernels = torch.mm(_of_weights(), weight.permute(2, 3, 1, 0).reshape(9, channels * outputs))
    found = torch.bmm(
        tiles.reshape(_IN * _IN, n * rows * cols, channels), kernels.reshape(_IN * _IN, channels, outputs)
    )
    found = found.reshape(_IN, _IN, n, rows, cols, outputs).permute(2, 0, 3, 1, 4, 5)
    found = torch.bmm(left.expand(n * _IN * rows, -1, -1), found.reshape(n * _IN * rows, _IN * cols, outputs))
    found = torch.bmm(up.expand(n, -1, -1), found.reshape(n, _IN * rows, width * outputs))
    return found.reshape(n, height, width, outputs).permute(0, 3, 1, 2)


def _gains(precision: str, device: torch.device) -> bool:
    return precision == "fp32" and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"


def _may_gain(part: nn.Conv2d) -> bool:
    """Whether it is of the one kind that is computed here, with enough channels; a subclass may compute another."""
    if type(part) is not nn.Conv2d or min(part.in_channels, part.out_channels) < _CHANNELS:
        return False
    kind = (part.kernel_size, part.stride, part.padding, part.dilation, part.groups, part.padding_mode)
    return kind == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros")


def _forward(part: nn.Conv2d, x: Tensor) -> Tensor:
    """As `nn.Conv2d.forward`."""
    n, _, height, width = x.shape
    tiles = n * -(-height // _OUT) * -(-width // _OUT)
    if not part.training or tiles < _TILES or max(height, width) > _SIDE:
        return nn.Conv2d.forward(part, x)
    found = convolved(x, part.weight)
    return found if part.bias is None else found + part.bias[:, None, None]


@cache
def _along(size: int) -> tuple[Tensor, Tensor]:
    """Along a side of `size` pixels: what makes 6 of each tile's pixels, (6·tiles, size), and pixels of 6 products."""
    tiles = -(-size // _OUT)
    apart, together = torch.zeros(_IN, tiles, size), torch.zeros(size, _IN, tiles)
    pixels, products = torch.tensor(_PIXELS).float(), torch.tensor(_PRODUCTS).float()
    for tile in range(tiles):
        first = _OUT * tile - 1  # one pixel of padding
        inside = slice(max(first, 0), min(first + _IN, size))
        apart[:, tile, inside] = pixels[:, inside.start - first : inside.stop - first]
        ends = min(_OUT, size - _OUT * tile)
        together[_OUT * tile : _OUT * tile + ends, :, tile] = products[:ends]
    return apart.reshape(-1, size), together.reshape(size, -1)


@cache
def _of_weights() -> Tensor:
    """(36, 9): what makes 6x6 of a kernel of 3x3."""
    along = torch.tensor(_WEIGHTS, dtype=torch.float64)
    return torch.kron(along, along).float()
