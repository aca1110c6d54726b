"""One forget set: every row by every number, the best and the tied-best methods in bold."""

from bench.tables.cells import GOLD, Cells
from bench.tables.columns import COST, Column, comparison_columns, further_columns
from bench.tables.contest import contest
from bench.tables.markdown import bold, grid, label_with_gaps
from bench.tables.verdict import verdict


def comparison(cells: Cells, forget_set: str) -> list[str]:
    """The table of one forget set, the verdict, and what else was measured; empty where there is no method row."""
    columns = comparison_columns(cells, forget_set)
    if not cells.methods(forget_set) or not columns:
        return []
    lines = [f"### {forget_set}, {_seeds(cells, forget_set)}", "", *_table(cells, forget_set, columns), ""]
    lines += [*verdict(cells, forget_set), ""]
    further = further_columns(cells, forget_set)
    if further:
        table = _table(cells, forget_set, further)
        lines += [f"<details><summary>Further numbers on {forget_set}</summary>", "", *table, "", "</details>", ""]
    return lines


def _table(cells: Cells, forget_set: str, columns: list[Column]) -> list[str]:
    winners = {each.metric: contest(cells, forget_set, each).winners for each in columns if each.metric not in COST}
    lines = [_line(cells, forget_set, row, columns, winners) for row in cells.rows(forget_set)]
    return grid(["row", *(each.header for each in columns)], lines)


def _line(
    cells: Cells, forget_set: str, row: str, columns: list[Column], winners: dict[str, frozenset[str]]
) -> list[str]:
    texts = []
    for each in columns:
        text = each.text(cells.estimate(forget_set, row, each.metric))
        texts.append(bold(text) if row in winners.get(each.metric, ()) else text)
    return [label_with_gaps(cells, forget_set, row), *texts]


def _seeds(cells: Cells, forget_set: str) -> str:
    seeds = len(cells.seeds(forget_set))
    words = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return words if cells.values(forget_set, GOLD, "ua") else f"{words}, no gold yet"
