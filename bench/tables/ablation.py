"""What each part of a method adds: every ablation row minus the method as it is, paired by seed."""

import math
from collections.abc import Collection

from bench.statistics import Estimate, paired
from bench.tables.cells import Cells
from bench.tables.columns import Column, column, signed
from bench.tables.contest import score
from bench.tables.markdown import grid, label
from tmu.audit.render import NONE

ASKED = ("average_gap", "activation_distance", "label_agreement", "seconds_ratio_whole")


_READ = (
    "Each row minus its method as it is, paired by seed [95 % interval]; worse, better: of the row, where the interval "
    "does not hold 0."
)
_MARK = " (retired)"
_RETIRED = "Retired: a part that won nothing and is gone; its stored rows cannot be measured again."


def ablation(cells: Cells, retired: Collection[str] = ()) -> list[str]:
    """One table a forget set that has ablation rows; empty where none has.

    `retired`: rows whose code is gone; they are marked.
    """
    lines = []
    for forget_set in cells.forget_sets():
        lines += _table(cells, forget_set, retired)
    if not lines:
        return []
    marked = set(retired) & {row for forget_set in cells.forget_sets() for row in cells.ablations(forget_set)}
    return ["### Ablations", "", _READ, *([_RETIRED] if marked else []), "", *lines]


def _table(cells: Cells, forget_set: str, retired: Collection[str]) -> list[str]:
    rows = [row for row in cells.ablations(forget_set) if row.partition("/")[0] in cells.rows(forget_set)]
    columns = [each for each in (column(cells, metric) for metric in ASKED) if _any(cells, forget_set, rows, each)]
    if not rows or not columns:
        return []
    lines = []
    for method in sorted({row.partition("/")[0] for row in rows}):
        own = [each.text(cells.estimate(forget_set, method, each.metric)) for each in columns]
        lines.append([f"{label(method)}, as it is", *own])
        for row in (row for row in rows if row.partition("/")[0] == method):
            name, *numbers = _line(cells, forget_set, row, columns)
            lines.append([name + _MARK * (row in retired), *numbers])
    return [*grid([forget_set, *(each.header for each in columns)], lines), ""]


def _line(cells: Cells, forget_set: str, row: str, columns: list[Column]) -> list[str]:
    if cells.refused(forget_set, row):
        return [f"{label(row)}: refused", *(NONE for _ in columns)]
    return [label(row), *(_difference(cells, forget_set, row, each) for each in columns)]


def _difference(cells: Cells, forget_set: str, row: str, column: Column) -> str:
    own, other = (cells.values(forget_set, name, column.metric) for name in (row.partition("/")[0], row))
    if not own.keys() & other.keys():
        return NONE
    found = paired(other, own)
    scores = (score(cells, forget_set, name, column) for name in (row, row.partition("/")[0]))
    return f"{signed(column, found)}{_word(paired(*scores))}"


def _word(difference: Estimate) -> str:
    """What a difference of scores (lower is better) shows of the row without the part."""
    if math.isnan(difference.low) or difference.low <= 0 <= difference.high:
        return ""
    return ", worse" if difference.low > 0 else ", better"


def _any(cells: Cells, forget_set: str, rows: list[str], column: Column) -> bool:
    return any(cells.values(forget_set, row, column.metric) for row in rows)
