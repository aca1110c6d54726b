"""One look for all figures of a suite: a row has one colour and one marker wherever it is shown.

Colours are those of the audit (Okabe and Ito 2008, colour-blind safe); beyond four methods the marker tells them apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.statistics import Estimate
from bench.tables.cells import DEFAULT, EARLIER, FLOOR, GOLD, ORIGINAL, RANDOM_CHOICE, row_order
from tmu.audit.drawing import headline
from tmu.audit.palette import BLUE, GREEN, GRID, INK, QUIET, SKY, VERMILION, colours
from tmu.audit.palette import GOLD as GOLD_COLOUR

_FLOOR_COLOUR = colours([], [GOLD, FLOOR])[FLOOR]
_MARKERS = ("s", "^", "v", "D", "P", "X", "<", ">")
_BASELINES = (
    *("finetune", "l1-sparse", "neggrad-plus", "random-label", "salun", "scrub", "ssd", "sfr-on", "amun", "regun"),
    *("bad-teacher", "oracle-matching", "finetune at our cost", "l1-sparse at our cost"),
)
T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """Colour, marker and size in points of one row."""

    colour: str
    marker: str
    size: float = 6.5


_FIXED = {
    GOLD: Look(GOLD_COLOUR, "_"),
    FLOOR: Look(_FLOOR_COLOUR, "_"),
    ORIGINAL: Look(colours([], [GOLD])[ORIGINAL], "x"),
    RANDOM_CHOICE: Look(colours([], [GOLD])[RANDOM_CHOICE], "*", 9),
    "tmu": Look(SKY, "o", 8),
    EARLIER: Look(BLUE, "d", 7),
    DEFAULT: Look(BLUE, "o", 9),
}


def looks(rows: Sequence[str]) -> dict[str, Look]:
    """The look of each row; a known method always has its own, others follow in the order of their names."""
    further = [row for row in sorted(rows, key=row_order) if row not in _FIXED and row not in _BASELINES]
    order = [*_BASELINES, *further]
    return {row: _FIXED.get(row) or _baseline(order.index(row)) for row in rows}


def _baseline(place: int) -> Look:
    return Look((GREEN, VERMILION)[place % 2], _MARKERS[place // 2 % len(_MARKERS)])


def panels(
    count: int, *, columns: int = 3, size: tuple[float, float] = (3.6, 3.0), sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` equal panels, at most `columns` a line, each `size` inches (width, height)."""
    across = min(columns, count)
    down = ceil(count / across)
    figure = Figure(figsize=(across * size[0], down * size[1] + 0.9), layout="constrained", facecolor="white")
    axes = list(figure.subplots(down, across, squeeze=False, sharey=sharey).ravel())
    for spare in axes[count:]:
        spare.remove()
    for axis in axes[:count]:
        clean(axis)
    return figure, axes[:count]


def clean(axis: Axes) -> None:
    """Quiet frame, light grid behind the data, ink-coloured text."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(QUIET)
    axis.grid(color=GRID, lw=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, which="both", length=2, labelsize=8)
    axis.xaxis.label.set(color=INK, fontsize=9)
    axis.yaxis.label.set(color=INK, fontsize=9)


def title(axis: Axes, text: str, size: float = 9.5) -> None:
    """A panel's name."""
    axis.set_title(text, loc="left", fontsize=size, color=INK, fontweight="bold")


def small_multiples(
    names: Sequence[T],
    panel: Callable[[Axes, T], None],
    text: str,
    note: str,
    *,
    columns: int = 3,
    size: tuple[float, float] = (3.6, 3.0),
    sharey: bool = False,
) -> Figure | None:
    """A panel for each name, drawn by `panel(axis, name)`, under one headline; None without a name."""
    if not names:
        return None
    figure, axes = panels(len(names), columns=columns, size=size, sharey=sharey)
    for axis, name in zip(axes, names, strict=True):
        panel(axis, name)
    headline(figure, text, note)
    return figure


def ends(estimate: Estimate) -> tuple[float, float]:
    """The interval to draw; without one, the mean twice."""
    return (estimate.mean, estimate.mean) if estimate.n < 2 else (estimate.low, estimate.high)
