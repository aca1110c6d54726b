"""Features on a fixed grid: whole numbers, so that sums of their products are exact in any order.

A feature x is kept as q = round(2^20 x), |q| < 2^31, in two halves: q = 2^16 high + low with -2^15 <= low < 2^15. Each
half is a small whole number, and a float64 matrix product of up to 2^20 rows of them is exact: every partial sum is a
whole number below 2^53, whatever the order in which a library adds.
"""

import torch
from torch import Tensor

from tmu.errors import ModelError

FRACTION_BITS = 20
HALF_BITS = 16
LIMIT = 2.0 ** (31 - FRACTION_BITS)
"""Features are below this in size, 2048; the step of the grid is 2^-20, about one millionth."""
MOST_ROWS = 2**20  # of one exact product


def on_grid(features: Tensor) -> Tensor:
    """Features float (N, F) with a last column of ones, as whole numbers int64 (N, F + 1).

    Raises ModelError where one is not finite, or not below `LIMIT` in size.
    """
    if not bool((features.abs() < LIMIT).all()):  # not(...) so that NaN is refused as well
        raise ModelError(
            f"The network's features are not all finite and below {LIMIT:.0f} in size.",
            "Use a network whose features are normalised, such as one with batch or layer normalisation.",
        )
    ones = torch.ones(len(features), 1, dtype=torch.float64)
    scaled = torch.cat([features.double(), ones], dim=1) * 2.0**FRACTION_BITS
    return scaled.round().clamp(-(2.0**31) + 1, 2.0**31 - 1).long()


def halves(grid: Tensor) -> tuple[Tensor, Tensor]:
    """The high and the low half (see the module), float64 (N, F + 1) each."""
    half = 1 << (HALF_BITS - 1)
    high = (grid + half) >> HALF_BITS
    return high.double(), (grid - (high << HALF_BITS)).double()
