"""How many records does the audit without golds need? Share that fails by number of records, one panel a forget set."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from bench.figures.style import small_multiples, title
from bench.tables.cells import FLOOR, ORIGINAL, VERDICT, Cells
from bench.tables.truth import GUILTY, caught, pairs_of, rows_of, sizes_of
from tmu.audit.palette import BLUE, GOLD, GREEN, INK, SKY, VERMILION

_COLOURS = dict(zip((FLOOR, *GUILTY), (GOLD, INK, VERMILION, GREEN, SKY), strict=True)) | {"tmu-soft": BLUE}


def draw(cells: Cells) -> Figure | None:
    """None without verdicts."""
    sets = [name for name in cells.verdicts() if pairs_of(cells, [name])]
    figure = small_multiples(
        sets,
        lambda axis, name: _panel(axis, cells, name),
        "How many records does a verdict without golds need?",
        "requests that fail, each audited alone; line: all references; dashes: fewer, of the untouched original",
    )
    if figure is not None:
        first = figure.axes[0]
        figure.legend(*first.get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _panel(axis: Axes, cells: Cells, name: str) -> None:
    *fewer, most = pairs_of(cells, [name])
    for row in (row for row in rows_of(cells, [name]) if row in _COLOURS):
        words = "honest retrain" if row == FLOOR else "nothing done" if row == ORIGINAL else row
        _line(axis, cells, name, row, most, marker="o", ms=3.5, lw=1.6, label=words)
    for pairs in fewer:
        _line(axis, cells, name, ORIGINAL, pairs, ls=(0, (3, 2)), lw=1, alpha=0.7)
    axis.set(xscale="log", ylim=(-3, 103), xlabel="records of a request", ylabel="failed (%)")
    sizes = sizes_of(cells, [name], most)
    axis.xaxis.set_major_locator(FixedLocator(sizes))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    title(axis, name.removeprefix(VERDICT))


def _line(axis: Axes, cells: Cells, name: str, row: str, pairs: int, **look: object) -> None:
    sizes = sizes_of(cells, [name], pairs)
    found = {size: caught(cells, [name], row, size, pairs) for size in sizes}
    known = {size: 100 * each[0] for size, each in found.items() if each}
    if known:
        axis.plot(list(known), list(known.values()), color=_COLOURS[row], **look)
