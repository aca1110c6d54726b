"""One look for all figures of a suite: a row has one colour and one marker wherever it is shown.

Colours are those of the audit (Okabe and Ito 2008, colour-blind safe); beyond four methods the marker tells them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.statistics import Estimate
from bench.tables.cells import DEFAULT, FLOOR, GOLD, ORIGINAL, RANDOM_CHOICE, row_order
from tmu.audit.palette import GOLD as GOLD_COLOUR
from tmu.audit.palette import GRID, INK, QUIET, colours

_FLOOR_COLOUR = colours([], [GOLD, FLOOR])[FLOOR]
_GREEN, _VERMILION = "#009E73", "#D55E00"
_MARKERS = ("s", "^", "v", "D", "P", "X", "<", ">")
_BASELINES = (
    *("finetune", "l1-sparse", "neggrad-plus", "random-label", "salun", "scrub", "ssd", "sfr-on", "amun", "regun"),
    "bad-teacher",
)
_DPI = 110


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
    "tmu": Look("#56B4E9", "o", 8),
    DEFAULT: Look("#0072B2", "o", 9),
}


def looks(rows: Sequence[str]) -> dict[str, Look]:
    """The look of each row; a known method always has its own, others follow in the order of their names."""
    further = [row for row in sorted(rows, key=row_order) if row not in _FIXED and row not in _BASELINES]
    order = [*_BASELINES, *further]
    return {row: _FIXED.get(row) or _baseline(order.index(row)) for row in rows}


def _baseline(place: int) -> Look:
    return Look((_GREEN, _VERMILION)[place % 2], _MARKERS[place // 2 % len(_MARKERS)])


def panels(
    count: int, *, columns: int = 3, size: tuple[float, float] = (3.6, 3.0), sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` equal panels, at most `columns` a line, each `size` inches (width, height)."""
    across = min(columns, count)
    down = ceil(count / across)
    figure = Figure(figsize=(across * size[0], down * size[1] + 0.9), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
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


def headline(figure: Figure, text: str, note: str) -> None:
    """The question that the figure answers, and how to read it."""
    figure.suptitle(text, fontsize=12, fontweight="bold", color=INK, x=0.01, ha="left")
    figure.supxlabel(note, fontsize=8.5, color=QUIET, x=0.01, ha="left")


def ends(estimate: Estimate) -> tuple[float, float]:
    """The interval to draw; without one, the mean twice."""
    return (estimate.mean, estimate.mean) if estimate.n < 2 else (estimate.low, estimate.high)


def png(figure: Figure) -> bytes:
    """The figure as PNG: the same figure gives the same bytes, no date, no version."""
    sink = BytesIO()
    figure.savefig(sink, format="png", dpi=_DPI, metadata={"Software": None})
    return sink.getvalue()
