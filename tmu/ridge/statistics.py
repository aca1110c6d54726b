"""What a ridge head is solved from: sums over the records, of which a record's part can be taken away again.

G = Φ'Φ, B = Φ'Y and the records by class, where a row of Φ is a record's features with a one behind them. The sums are
of whole numbers (`grid.py`): adding and subtracting are exact, in any order and in any batches, for ever. So the sums
after a deletion are those of a retraining, bit for bit, and no rounding adds up that a renewal would have to clear.
That sums suffice: Quan, Wu, Montana 2026, arXiv 2603.12977, who keep them in float64, equal to 1e-9.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tmu.errors import DataError
from tmu.ridge.grid import FRACTION_BITS, HALF_BITS, MOST_ROWS, halves, on_grid

_ROWS = 4096  # records whose products are summed at a time
_UNIT = 2.0 ** (-2 * FRACTION_BITS)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums of whole numbers, int64. high, cross, low: G by the halves of its factors, (F + 1, F + 1) each:
    G = 2^(2·16) high + 2^16 cross + low in steps of 2^-40. sums: B in steps of 2^-20, (F + 1, K). counts: (K,) records.
    """

    high: Tensor
    cross: Tensor
    low: Tensor
    sums: Tensor
    counts: Tensor

    @classmethod
    def none(cls, width: int, classes: int) -> "Statistics":
        """Of no record; width: F."""
        square, sums = torch.zeros(width + 1, width + 1), torch.zeros(width + 1, classes)
        return cls(*(each.long() for each in (square, square, square, sums, torch.zeros(classes))))

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int) -> "Statistics":
        """Of records with features float (N, F) and labels int64 (N,) below `classes`. Raises as `on_grid`."""
        if len(features) > MOST_ROWS:
            raise ValueError(f"at most {MOST_ROWS} records at a time")
        grid = on_grid(features)
        high, low = halves(grid)
        mixed = high.T @ low
        sums = torch.zeros(classes, grid.shape[1], dtype=torch.int64).index_add_(0, labels, grid)
        counts = torch.bincount(labels, minlength=classes)
        parts = (high.T @ high, mixed + mixed.T, low.T @ low, sums.T.contiguous(), counts)
        return cls(*(each.long() for each in parts))

    @property
    def width(self) -> int:
        """F, the number of features."""
        return len(self.high) - 1

    @property
    def records(self) -> int:
        """N."""
        return int(self.counts.sum())

    @property
    def moments(self) -> Tensor:
        """G, float64 (F + 1, F + 1)."""
        parts = (self.high.double() * 2.0 ** (2 * HALF_BITS), self.cross.double() * 2.0**HALF_BITS, self.low.double())
        return (parts[0] + parts[1] + parts[2]) * _UNIT

    @property
    def responses(self) -> Tensor:
        """B, float64 (F + 1, K)."""
        return self.sums.double() * 2.0**-FRACTION_BITS

    def __add__(self, other: "Statistics") -> "Statistics":
        self._refuse_other_shape(other)
        return Statistics(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: "Statistics") -> "Statistics":
        self._refuse_other_shape(other)
        return Statistics(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    def equals(self, other: "Statistics") -> bool:
        """Whether every sum is the same whole number."""
        return all(torch.equal(getattr(self, each.name), getattr(other, each.name)) for each in fields(self))

    def distance(self, other: "Statistics") -> float:
        """The relative Frobenius distance of G and B to another's, the larger of the two; of whole numbers, exact."""
        apart = self - other
        pairs = ((apart.moments, other.moments), (apart.responses, other.responses))
        return max(float(gap.norm() / whole.norm().clamp_min(1e-300)) for gap, whole in pairs)

    def _refuse_other_shape(self, other: "Statistics") -> None:
        mine, theirs = ((len(each.high), len(each.counts)) for each in (self, other))
        if mine != theirs:
            raise DataError(
                f"The statistics are of {mine[0] - 1} features and {mine[1]} classes, the others of {theirs[0] - 1} "
                f"and {theirs[1]}.",
                "Take both from the same network and classes.",
            )


def summed(batches: Iterable[tuple[Tensor, Tensor]], classes: int) -> Statistics | None:
    """The statistics of many records, from batches of features (n, F) and labels (n,); None of no batch.

    Memory: a few thousand records' features at a time, and the sums.
    """
    total: Statistics | None = None
    waiting: list[tuple[Tensor, Tensor]] = []

    def taken() -> Statistics:
        features, labels = (torch.cat(part) for part in zip(*waiting, strict=True))
        waiting.clear()
        found = Statistics.of(features, labels, classes)
        return found if total is None else total + found

    for batch in batches:
        waiting.append(batch)
        if sum(len(labels) for _, labels in waiting) >= _ROWS:
            total = taken()
    return taken() if waiting else total
