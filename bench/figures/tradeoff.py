"""Gap and distance to the gold against cost in retrainings, a column a forget set; both axes are logarithmic."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.figures.style import Look, ends, looks, small_multiples, title
from bench.statistics import Estimate
from bench.tables.cells import EARLY, FLOOR, ORIGINAL, RANDOM_CHOICE, Cells, row_order
from bench.tables.columns import Column, column
from bench.tables.markdown import label
from bench.tables.verdict import ASKED
from tmu.audit.palette import GOLD, INK, QUIET

_SMALLEST = {"average_gap": 0.02, "activation_distance": 1e-4}  # an interval may reach zero
_COST = "seconds_ratio_alone"
_STOPPED = "retraining, stopped early"


def draw(cells: Cells, sets: Sequence[str] | None = None) -> Figure | None:
    """Both numbers by time ratio, of these forget sets (None: all); None where no method has cost and number."""
    sets = [name for name in sets or cells.forget_sets() if any(_points(cells, name, metric) for metric in ASKED)]
    across = min(3, len(sets))
    panels = [
        (name, column(cells, metric))
        for start in range(0, len(sets), across or 1)
        for metric in ASKED
        for name in sets[start : start + across]
    ]
    rows = {row for name in sets for metric in ASKED for row in _points(cells, name, metric)}
    shown = looks(sorted((row for row in rows if not _early(row)), key=row_order))
    figure = small_multiples(
        panels,
        lambda axis, panel: _panel(axis, cells, *panel, shown),
        "How near to the gold, at what cost?",
        "lower left is better; filled: alone, hollow: with what is made once; bars: 95 %; band: a second gold",
        columns=across or 1,
    )
    if figure is not None:
        keys = [_key(row, look) for row, look in shown.items()]
        keys += [Line2D([], [], color=INK, marker=".", label=_STOPPED)] * any(map(_early, rows))
        figure.legend(handles=keys, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def early_curve(cells: Cells, forget_set: str, metric: str) -> list[tuple[float, float]]:
    """(cost, number) of retrainings that were stopped after a share of their epochs, the cheapest first."""
    rows = [row for row in _points(cells, forget_set, metric) if _early(row)]
    found = [(cells.estimate(forget_set, row, _COST), cells.estimate(forget_set, row, metric)) for row in rows]
    return sorted((cost.mean, number.mean) for cost, number in found)


def _early(row: str) -> bool:
    return row.startswith(EARLY)


def _points(cells: Cells, forget_set: str, metric: str) -> list[str]:
    rows = [*cells.methods(forget_set), RANDOM_CHOICE]
    return [row for row in rows if all(cells.values(forget_set, row, each) for each in (metric, _COST))]


def _panel(axis: Axes, cells: Cells, forget_set: str, shown_as: Column, shown: dict[str, Look]) -> None:
    axis.set(xscale="log", yscale="log")
    metric, least = shown_as.metric, _SMALLEST[shown_as.metric]
    _levels(axis, cells, forget_set, metric)
    axis.axvline(1, color=QUIET, lw=1, ls=(0, (1, 2)))
    curve = early_curve(cells, forget_set, metric)
    axis.plot([x for x, _ in curve], [max(y, least) for _, y in curve], color=INK, marker=".", lw=1.2, ms=5)
    for row in (row for row in _points(cells, forget_set, metric) if not _early(row)):
        costs = (cells.estimate(forget_set, row, f"seconds_ratio_{which}") for which in ("alone", "whole"))
        _point(axis, cells.estimate(forget_set, row, metric), *costs, shown[row], least)
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        each.set_minor_locator(NullLocator())
    axis.set(xlabel="time / retraining (×) ↓", ylabel=shown_as.header)
    title(axis, forget_set)


def _levels(axis: Axes, cells: Cells, forget_set: str, metric: str) -> None:
    """The floor as a band, and what doing nothing gets."""
    least = _SMALLEST[metric]
    floor, original = (cells.estimate(forget_set, row, metric) for row in (FLOOR, ORIGINAL))
    if floor is not None:
        low, high = ends(floor)
        axis.axhspan(max(low, least), max(high, least), color=GOLD, alpha=0.22, lw=0)
        axis.axhline(max(floor.mean, least), color=GOLD, lw=1.5)
    if original is not None:
        at = max(original.mean, least)
        axis.axhline(at, color=INK, lw=1, ls=(0, (4, 3)))
        place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom", "fontsize": 7.5, "color": INK}
        axis.annotate("nothing done", (0.99, at), **place)


def _point(axis: Axes, number: Estimate, alone: Estimate, whole: Estimate | None, look: Look, least: float) -> None:
    low, high = (max(end, least) for end in ends(number))
    at, y = alone.mean, max(number.mean, least)
    axis.plot([at, at], [low, high], color=look.colour, lw=1.2, alpha=0.8)
    if whole is not None and whole.mean > at:
        axis.plot([at, whole.mean], [y, y], color=look.colour, lw=1, alpha=0.5)
        axis.plot(whole.mean, y, look.marker, color=look.colour, mfc="white", ms=look.size - 1.5)
    axis.plot(at, y, look.marker, color=look.colour, ms=look.size, mec="white", mew=0.6, zorder=3)


def _key(row: str, look: Look) -> Line2D:
    return Line2D([], [], color=look.colour, marker=look.marker, ms=look.size, ls="", label=label(row).strip("`"))
