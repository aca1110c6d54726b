"""Numbers that need fleets of models (KLoM, U-LiRA, the challenge score): each beside its floor or null."""

from typing import Any

from bench.tables.cells import FLEET, Cells
from bench.tables.columns import SHADOW, column
from bench.tables.markdown import grid, label
from tmu.audit.render import NONE

PREFIXES = ("klom_", "ulira_", "forgetting_score", "challenge_score")
_ATTACKS = ("ulira_", *SHADOW)  # in a table of their own
_BESIDE = {"_floor": "its floor", "_null": "its null"}
_READ = [
    "Every row's fleet faces the same fleet of golds; the row `second gold` is another one of as many. Intervals:",
    "jackknife over models and records. KLoM and F change with the fleet's size: read them beside floor and null.",
]


def fleet(cells: Cells) -> list[str]:
    """One table a forget set that has such numbers; empty where none has."""
    lines = []
    for forget_set in [*cells.forget_sets(), *cells.fleets()]:
        metrics = fleet_metrics(cells, forget_set)
        for attacks in (False, True):
            chosen = [metric for metric in metrics if metric.startswith(_ATTACKS) == attacks]
            lines += [*_table(cells, forget_set, chosen), ""] if chosen else []
    return ["### Fleets of models", "", *_READ, "", *lines] if lines else []


def fleet_metrics(cells: Cells, forget_set: str) -> list[str]:
    """The fleet metrics that hold a number here, each followed by its floor or null."""
    wanted = (*PREFIXES, *SHADOW) if forget_set.startswith(FLEET) else PREFIXES
    found = {metric for name, _, metric in cells.numbers if name == forget_set and metric.startswith(wanted)}
    return sorted(found)


def _table(cells: Cells, forget_set: str, metrics: list[str]) -> list[str]:
    rows = [row for row in cells.rows(forget_set) if any(cells.values(forget_set, row, m) for m in metrics)]
    lines = []
    for row in rows:
        texts = [_shape(cells, m).text(cells.estimate(forget_set, row, m)) for m in metrics]
        lines.append([label(row), *(text or NONE for text in texts)])
    sizes = {int(size) for row in rows for size in cells.values(forget_set, row, "fleet_models").values()}
    name = ", ".join([forget_set.removeprefix(FLEET), *(f"{size} models a side" for size in sorted(sizes))])
    return grid([name, *(_header(cells, m) for m in metrics)], lines)


def _header(cells: Cells, metric: str) -> str:
    for ending, words in _BESIDE.items():
        if metric.endswith(ending):
            return words
    return column(cells, metric).header


def _shape(cells: Cells, metric: str) -> Any:
    """The column whose digits and unit a number has: a floor is written as the number it belongs to."""
    for ending in _BESIDE:
        metric = metric.removesuffix(ending)
    return column(cells, metric)
