"""Methods by forget sets: how many times the floor, so that easy and hard forget sets share one scale."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.figures.style import small_multiples, title
from bench.tables.cells import FLOOR, GOLD, Cells, row_order
from bench.tables.columns import Column, column, times
from bench.tables.contest import contest
from bench.tables.verdict import ASKED
from tmu.audit.palette import INK

_MAP = "cividis_r"
_LARGEST = 20.0
_TINY = 1e-9


def draw(cells: Cells) -> Figure | None:
    """One panel a number; None where fewer than two forget sets have a floor and a method."""
    columns = [each for each in (column(cells, metric) for metric in ASKED) if len(_sets(cells, each)) > 1]
    sets = max((len(_sets(cells, each)) for each in columns), default=0)
    rows = max((len(_rows(cells, each)) for each in columns), default=0)
    return small_multiples(
        columns,
        lambda axis, each: _panel(axis, cells, each),
        "How many times the floor? 1 is as near as a second gold",
        "lighter is nearer; frame: best, or not to be told from the best; –: refused or not measured",
        columns=2,
        size=(1.6 + 0.62 * sets, 1.4 + 0.28 * rows),
    )


def matrix(cells: Cells, column: Column) -> np.ndarray:
    """Mean of the row over mean of the floor, (rows, forget sets); NaN where not measured."""
    values = np.full((len(_rows(cells, column)), len(_sets(cells, column))), np.nan)
    for place, name in enumerate(_sets(cells, column)):
        floor = cells.estimate(name, FLOOR, column.metric).mean
        for line, row in enumerate(_rows(cells, column)):
            if found := cells.estimate(name, row, column.metric):
                values[line, place] = found.mean / max(floor, _TINY)
    return values


def _sets(cells: Cells, column: Column) -> list[str]:
    measured = [name for name in cells.forget_sets() if cells.values(name, FLOOR, column.metric)]
    return [name for name in measured if any(cells.values(name, row, column.metric) for row in cells.methods(name))]


def _rows(cells: Cells, column: Column) -> list[str]:
    sets = _sets(cells, column)
    return sorted({row for name in sets for row in cells.rows(name)} - {GOLD, FLOOR}, key=row_order)


def _panel(axis: Axes, cells: Cells, column: Column) -> None:
    values, sets, rows = matrix(cells, column), _sets(cells, column), _rows(cells, column)
    norm = LogNorm(1, _LARGEST, clip=True)
    image = axis.imshow(values, cmap=_MAP, norm=norm, aspect="auto")
    for (line, place), value in np.ndenumerate(values):
        dark = not np.isnan(value) and norm(value) > 0.42
        text = "–" if np.isnan(value) else times(min(value, 999))
        axis.text(place, line, text, ha="center", va="center", fontsize=8, color="white" if dark else INK)
    for place, name in enumerate(sets):
        for row in contest(cells, name, column).winners:
            axis.add_patch(Rectangle((place - 0.46, rows.index(row) - 0.46), 0.92, 0.92, fill=False, ec=INK, lw=1.8))
    axis.set_xticks(range(len(sets)), sets, rotation=35, ha="right")
    axis.set_yticks(range(len(rows)), rows)
    axis.grid(False)
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.figure.colorbar(
        image, ax=axis, label="× floor", extend="max", shrink=0.8, format=lambda v, _: f"{v:g}", ticks=[1, 2, 5, 10, 20]
    )
    title(axis, column.title)
