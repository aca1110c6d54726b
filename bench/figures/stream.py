"""A stream of deletions: gap, distance and test accuracy after each one, with the floor beside them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.figures.style import Look, ends, looks, panels
from bench.statistics import Estimate, over_seeds
from bench.tables.cells import FLOOR, GOLD, ORIGINAL, Cells
from bench.tables.columns import FIRST, Column, column
from bench.tables.markdown import label
from bench.tables.stream import ASKED, at, beside, stream_methods
from tmu.audit.drawing import headline
from tmu.audit.palette import GOLD as COLOUR


def draw(cells: Cells) -> Figure | None:
    """One panel a number; None without a stream."""
    methods = stream_methods(cells)
    shown = [*ASKED[:3], *(metric for metric in ASKED if metric.startswith(FIRST))]
    columns = [c for c in (column(cells, metric) for metric in shown) if _measured(cells, methods, c)]
    if not columns:
        return None
    figure, axes = panels(len(columns), size=(3.8, 3.0))
    rows = [*methods, *([ORIGINAL] if _path(cells, ORIGINAL, columns[0]) else [])]
    for axis, each in zip(axes, columns, strict=True):
        _panel(axis, cells, each, rows)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)
    headline(
        figure,
        "Do many deletions in a row pile up?",
        "gold band: range of the floor over all deletions (TA: of each deletion's golds); other bands: 95 % over seeds",
    )
    return figure


def _measured(cells: Cells, methods: list[str], column: Column) -> bool:
    """Whether a method has the number; that of the first deletions only once more have followed."""
    if column.metric.startswith(FIRST):
        return any(cells.values(name, row, column.metric) for name in cells.stream().values() for row in methods)
    return any(_path(cells, row, column) for row in methods)


def _path(cells: Cells, row: str, column: Column) -> dict[int, Estimate]:
    found = {number: at(cells, row, column, number) for number in cells.stream()}
    return {number: over_seeds(values) for number, values in found.items() if values}


def _panel(axis: Axes, cells: Cells, column: Column, rows: list[str]) -> None:
    _floor(axis, cells, column)
    for row, look in looks(rows).items():
        _line(axis, _path(cells, row, column), look, label(row).strip("`"))
    axis.set(xlabel="deletions so far", ylabel=column.header)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if column.better == "lower":
        axis.set_ylim(bottom=0)


def _floor(axis: Axes, cells: Cells, column: Column) -> None:
    """The floor over the whole stream; where the gold's number is the aim, the golds of each deletion."""
    path = _path(cells, beside(column), column)
    if not path:
        return
    spread = {number: list(at(cells, FLOOR, column, number).values()) for number in path}
    if column.better == "gold":
        low, high = ([end(*v, *at(cells, GOLD, column, n).values()) for n, v in spread.items()] for end in (min, max))
    else:
        low, high = (end(value for found in spread.values() for value in found) for end in (min, max))
    axis.fill_between(list(path), low, high, color=COLOUR, alpha=0.2, lw=0)
    axis.plot(list(path), [each.mean for each in path.values()], color=COLOUR, lw=2.2, label="floor, or gold")


def _line(axis: Axes, path: dict[int, Estimate], look: Look, name: str) -> None:
    low, high = zip(*(ends(each) for each in path.values()), strict=True) if path else ((), ())
    axis.fill_between(list(path), low, high, color=look.colour, alpha=0.18, lw=0)
    means = [each.mean for each in path.values()]
    axis.plot(list(path), means, color=look.colour, marker=look.marker, ms=4, lw=1.6, label=name)
