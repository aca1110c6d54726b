"""Distance to the gold against cost in retrainings, one panel a forget set."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.figures.style import Look, ends, looks, small_multiples, title
from bench.statistics import Estimate
from bench.tables.cells import FLOOR, ORIGINAL, RANDOM_CHOICE, Cells, row_order
from bench.tables.markdown import label
from tmu.audit.palette import GOLD, INK, QUIET

_SMALLEST = 0.02  # points; the axis is logarithmic and an interval may reach zero


def draw(cells: Cells) -> Figure | None:
    """Average gap by time ratio, both logarithmic; None where no method has both numbers."""
    sets = [name for name in cells.forget_sets() if _points(cells, name)]
    shown = looks(sorted({row for name in sets for row in _points(cells, name)}, key=row_order))
    figure = small_multiples(
        sets,
        lambda axis, name: _panel(axis, cells, name, shown),
        "How near to the gold, at what cost?",
        "lower left is better; filled: twin in full, hollow: alone; lines: 95 % over seeds; band: floor, a second gold",
    )
    if figure is not None:
        keys = [_key(row, look) for row, look in shown.items()]
        figure.legend(handles=keys, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _points(cells: Cells, forget_set: str) -> list[str]:
    rows = [*cells.methods(forget_set), RANDOM_CHOICE]
    wanted = ("average_gap", "seconds_ratio_alone")
    return [row for row in rows if all(cells.values(forget_set, row, metric) for metric in wanted)]


def _panel(axis: Axes, cells: Cells, forget_set: str, shown: dict[str, Look]) -> None:
    axis.set(xscale="log", yscale="log")
    floor, original = (cells.estimate(forget_set, row, "average_gap") for row in (FLOOR, ORIGINAL))
    if floor is not None:
        low, high = ends(floor)
        axis.axhspan(max(low, _SMALLEST), max(high, _SMALLEST), color=GOLD, alpha=0.22, lw=0)
        axis.axhline(max(floor.mean, _SMALLEST), color=GOLD, lw=1.5)
    if original is not None:
        axis.axhline(max(original.mean, _SMALLEST), color=INK, lw=1, ls=(0, (4, 3)))
        axis.annotate(
            "nothing done",
            (0.99, original.mean),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=7.5,
            color=INK,
        )
    axis.axvline(1, color=QUIET, lw=1, ls=(0, (1, 2)))
    for row in _points(cells, forget_set):
        numbers = (cells.estimate(forget_set, row, f"seconds_ratio_{which}") for which in ("alone", "whole"))
        _point(axis, cells.estimate(forget_set, row, "average_gap"), *numbers, shown[row])
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(LogLocator(subs=(1, 2, 5)))
        each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        each.set_minor_locator(NullLocator())
    axis.set(xlabel="time / retraining (×) ↓", ylabel="avg gap (pts) ↓")
    title(axis, forget_set)


def _point(axis: Axes, gap: Estimate, alone: Estimate, whole: Estimate | None, look: Look) -> None:
    low, high = (max(end, _SMALLEST) for end in ends(gap))
    at, y = (whole or alone).mean, max(gap.mean, _SMALLEST)
    axis.plot([at, at], [low, high], color=look.colour, lw=1.2, alpha=0.8)
    if alone.mean < at:
        axis.plot([alone.mean, at], [y, y], color=look.colour, lw=1, alpha=0.6)
        axis.plot(alone.mean, y, look.marker, color=look.colour, mfc="white", ms=look.size - 1.5)
    axis.plot(at, y, look.marker, color=look.colour, ms=look.size, mec="white", mew=0.6, zorder=3)


def _key(row: str, look: Look) -> Line2D:
    return Line2D([], [], color=look.colour, marker=look.marker, ms=look.size, ls="", label=label(row).strip("`"))
