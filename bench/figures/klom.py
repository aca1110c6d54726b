"""KLoM of each row on the forget set beside its floor, one panel a forget set."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures.style import Look, ends, looks, small_multiples, title
from bench.tables.cells import FLEET, Cells, row_order
from tmu.audit.palette import GOLD

_METRIC, _FLOOR = "klom_forget", "klom_forget_floor"


def draw(cells: Cells) -> Figure | None:
    """None where no row has a KLoM."""
    sets = [name for name in [*cells.forget_sets(), *cells.fleets()] if _rows(cells, name)]
    rows = sorted({row for name in sets for row in _rows(cells, name)}, key=row_order)
    shown = looks(rows)
    return small_multiples(
        sets,
        lambda axis, name: _panel(axis, cells, name, shown),
        "KLoM: do fleets of unlearned models give each record the margins that retrained ones give it?",
        "left is better; band and line: floor, retrained against retrained; lines: 95 % intervals",
        size=(3.6, 0.9 + 0.22 * len(rows)),
        sharey=True,
    )


def _rows(cells: Cells, forget_set: str) -> list[str]:
    return [row for row in cells.rows(forget_set) if cells.values(forget_set, row, _METRIC)]


def _panel(axis: Axes, cells: Cells, forget_set: str, shown: dict[str, Look]) -> None:
    rows = _rows(cells, forget_set)
    floors = [each.mean for row in rows if (each := cells.estimate(forget_set, row, _FLOOR))]
    if floors:
        axis.axvspan(min(floors), max(floors), color=GOLD, alpha=0.25, lw=0)
        axis.axvline(sum(floors) / len(floors), color=GOLD, lw=2)
    for row in rows:
        place, found, look = list(shown).index(row), cells.estimate(forget_set, row, _METRIC), shown[row]
        axis.plot(ends(found), [place, place], color=look.colour, lw=1.6)
        axis.plot(found.mean, place, look.marker, color=look.colour, ms=look.size, mec=look.colour)
    axis.set_yticks(range(len(shown)), shown)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlim(left=0)
    axis.set_xlabel("KLoM forget (nats) ↓")
    title(axis, forget_set.removeprefix(FLEET))
