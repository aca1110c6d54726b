"""All forget sets at a glance: every method by every forget set, its mean rank, and how often the default wins."""

from bench.tables.cells import DEFAULT, GOLD, Cells, row_order
from bench.tables.columns import Column, column
from bench.tables.contest import contest, mean_ranks
from bench.tables.markdown import bold, grid, label
from bench.tables.verdict import ASKED, best_or_tied
from tmu.audit.render import NONE


def summary(cells: Cells) -> list[str]:
    """The sentence and one matrix a number; empty where no forget set has a method."""
    sets = [name for name in cells.forget_sets() if cells.methods(name)]
    columns = [each for each in (column(cells, m) for m in ASKED) if any(_has(cells, s, each) for s in sets)]
    if not sets or not columns:
        return []
    lines = ["### All forget sets", "", *_sentences(cells, sets, columns), ""]
    for each in columns:
        lines += [*_matrix(cells, sets, each), ""]
    return lines


def _has(cells: Cells, forget_set: str, column: Column) -> bool:
    return bool(contest(cells, forget_set, column).scores)


def _sentences(cells: Cells, sets: list[str], columns: list[Column]) -> list[str]:
    won = {name: [best_or_tied(cells, name, each) for each in columns] for name in sets}
    counted = [name for name in sets if None not in won[name]]
    if not counted:
        return [f"Nothing is counted yet: {label(DEFAULT)} lacks seeds, or there is but one."]
    lines = []
    for place, each in enumerate(columns):
        where = [name for name in counted if won[name][place]]
        lines.append(f"- {each.title}: {label(DEFAULT)} is best or tied on {len(where)} of {len(counted)} forget sets.")
    if len(columns) > 1:
        both = [name for name in counted if all(won[name])]
        missing = [name for name in counted if name not in both]
        tail = f"; not on {', '.join(missing)}" if missing else ""
        lines.append("- " + bold(f"Best or tied in both numbers: {len(both)} of {len(counted)}") + tail + ".")
    left = [name for name in sets if name not in counted]
    if left:
        lines.append(f"- Not counted, since seeds are missing or there is but one: {', '.join(left)}.")
    return lines


def _matrix(cells: Cells, sets: list[str], column: Column) -> list[str]:
    rows = sorted({row for name in sets for row in cells.rows(name)} - {GOLD}, key=row_order)
    held = {name: contest(cells, name, column) for name in sets}
    ranks = mean_ranks(cells, column)
    lines = []
    for row in rows:
        texts = [_cell(cells, name, row, column) for name in sets]
        shown = [bold(t) if row in held[s].winners else t for s, t in zip(sets, texts, strict=True)]
        lines.append([label(row), *shown, _rank(ranks, row, len(sets))])
    return grid([column.header, *sets, "mean rank ↓"], lines)


def _cell(cells: Cells, forget_set: str, row: str, column: Column) -> str:
    found = cells.estimate(forget_set, row, column.metric)
    return "refused" if found is None and cells.refused(forget_set, row) else column.text(found)


def _rank(ranks: dict, row: str, sets: int) -> str:
    if row not in ranks:
        return NONE
    estimate, counted = ranks[row]
    text = f"{estimate.mean:.1f}"
    if estimate.n > 1:
        text += f" [{max(estimate.low, 1.0):.1f}, {estimate.high:.1f}]"  # no rank is below 1
    return text if counted == sets else f"{text}, {counted} of {sets} sets"
