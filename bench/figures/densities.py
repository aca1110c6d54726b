"""True-class confidence on the forget set: the shape that a method leaves beside the gold's, small multiples."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.densities import BINS
from bench.figures.style import looks, panels, title
from bench.tables.cells import CONTROLS, DEFAULT, FLOOR, GOLD, ORIGINAL, Cells
from tmu.audit.drawing import headline
from tmu.audit.palette import GOLD as GOLD_COLOUR
from tmu.audit.palette import INK

_NAME = "density_forget"
_SMALLEST = 1e-4
_EDGES = np.linspace(0, 1, BINS + 1)


def draw(cells: Cells, forget_set: str) -> Figure | None:
    """Every row's density on one forget set over the gold's; None without the gold's or any other."""
    gold = density(cells, forget_set, GOLD)
    rows = {row: shares for row in _order(cells, forget_set) if (shares := density(cells, forget_set, row)) is not None}
    if gold is None or not rows:
        return None
    figure, axes = panels(len(rows), columns=4, size=(2.5, 1.75), sharey=True)
    shown = looks(list(rows))
    for axis, (row, shares) in zip(axes, rows.items(), strict=True):
        _panel(axis, gold, shares, shown[row].colour)
        title(axis, f"{row}: off by {100 * misplaced(gold, shares):.0f} %", size=8.5)
    for axis in axes[::4]:
        axis.set_ylabel("share of set")
    headline(
        figure,
        f"{forget_set}: does confidence in the true class lie as the gold's?",
        "filled: gold; line: the row; mean of seeds, log scale; off by: share of the set in other bins than the gold's",
    )
    return figure


def density(cells: Cells, forget_set: str, row: str) -> np.ndarray | None:
    """Share of the forget set (20,) by bin of true-class confidence, mean over seeds; None if any bin is missing."""
    found = [cells.estimate(forget_set, row, f"{_NAME}/{place:02d}") for place in range(BINS)]
    return None if None in found else np.array([each.mean for each in found])


def misplaced(gold: np.ndarray, shares: np.ndarray) -> float:
    """Total variation distance, 0..1, of two densities (20,)."""
    return float(np.abs(gold - shares).sum() / 2)


def _order(cells: Cells, forget_set: str) -> list[str]:
    """The original and the floor first, ours next, then the others."""
    methods = cells.methods(forget_set)
    first = [ORIGINAL, FLOOR, *(row for row in (DEFAULT, "tmu") if row in methods), CONTROLS[-1]]
    return [*first, *(row for row in methods if row not in first)]


def _panel(axis: Axes, gold: np.ndarray, shares: np.ndarray, colour: str) -> None:
    axis.set_yscale("log")
    axis.stairs(np.maximum(gold, _SMALLEST), 100 * _EDGES, baseline=_SMALLEST, fill=True, color=GOLD_COLOUR, alpha=0.45)
    axis.stairs(np.maximum(shares, _SMALLEST), 100 * _EDGES, baseline=None, color=colour, lw=1.6)
    axis.set(xlim=(0, 100), ylim=(_SMALLEST, 1.3), xticks=[0, 50, 100], xlabel="confidence (%)")
    axis.set_yticks([1e-4, 1e-2, 1], ["0", "1 %", "100 %"])
    axis.minorticks_off()
    axis.xaxis.label.set(color=INK, fontsize=8)
