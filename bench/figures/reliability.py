"""Are the predictor's probabilities true? Share of golds that are wrong by predicted probability."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.densities import RELIABILITY_BINS
from bench.figures.style import ends, small_multiples, title
from bench.tables.cells import TWIN, Cells
from tmu.audit.palette import BLUE, QUIET


def draw(cells: Cells) -> Figure | None:
    """One panel a forget set; None where no reliability was stored."""
    sets = [name for name in cells.forget_sets() if _bins(cells, name)]
    return small_multiples(
        sets,
        lambda axis, name: _panel(axis, cells, name),
        "Predictor: are its probabilities true?",
        "dashed: perfectly calibrated; lines: 95 % over seeds; larger points hold more records",
        size=(3.1, 2.9),
    )


def _bins(cells: Cells, forget_set: str) -> list[int]:
    """The bins that hold records on any seed."""
    return [b for b in range(RELIABILITY_BINS) if cells.values(forget_set, TWIN, f"reliability/observed/{b:02d}")]


def _panel(axis: Axes, cells: Cells, forget_set: str) -> None:
    axis.plot([0, 100], [0, 100], color=QUIET, lw=1, ls=(0, (3, 3)))
    counts = {b: cells.estimate(forget_set, TWIN, f"reliability/count/{b:02d}") for b in _bins(cells, forget_set)}
    total = sum(each.mean for each in counts.values() if each) or 1.0
    for place, count in counts.items():
        predicted, observed = (
            cells.estimate(forget_set, TWIN, f"reliability/{side}/{place:02d}") for side in ("predicted", "observed")
        )
        if predicted is None:
            continue
        low, high = np.clip(ends(observed), 0, 1)
        axis.plot([100 * predicted.mean] * 2, [100 * low, 100 * high], color=BLUE, lw=1.6, alpha=0.7)
        size = 4 + 14 * np.sqrt((count.mean if count else 0.0) / total)
        axis.plot(100 * predicted.mean, 100 * observed.mean, "o", color=BLUE, ms=size, mec="white", mew=0.8, zorder=3)
    axis.set(xlim=(-3, 103), ylim=(-3, 103), xlabel="predicted (%)", ylabel="golds that are wrong (%)")
    title(axis, forget_set)
