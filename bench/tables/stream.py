"""Many successive deletions: does the distance to the gold grow from one to the next?

Each deletion has its own golds, but all seeds share them. So a method's change is paired over seeds, while what chance
alone does to the floor is read off the deletions: its numbers there are independent retrainings.
"""

import math

import numpy as np
from scipy import stats

from bench.statistics import Estimate, over_seeds
from bench.tables.cells import FLOOR, GOLD, ORIGINAL, RANDOM_CHOICE, Cells, Values, row_order
from bench.tables.columns import FIRST, LATEST, Column, column, differences, signed, times, with_unit
from bench.tables.markdown import grid, label

ASKED = (
    *("average_gap", "activation_distance", "accuracy_test", f"{LATEST}average_gap", f"{LATEST}activation_distance"),
    *(f"{FIRST}average_gap", f"{FIRST}activation_distance"),
)
_COSTS = ("seconds_ratio_alone", "seconds_ratio_audits", "seconds_ratio_total")


def stream(cells: Cells) -> list[str]:
    """A table and sentences for each method that went through a stream of deletions; empty without one."""
    lines = []
    for method in stream_methods(cells):
        lines += [*_table(cells, method), "", *_spent(cells, method), *_sentences(cells, method), ""]
    return ["### Successive deletions", "", *lines] if lines else []


def stream_methods(cells: Cells) -> list[str]:
    """The methods with numbers in the stream; no golds, no controls."""
    rows = {row for name in cells.stream().values() for row in cells.rows(name)}
    return sorted(rows - {GOLD, FLOOR, ORIGINAL, RANDOM_CHOICE, "retrain"}, key=row_order)


def beside(column: Column) -> str:
    """The row that a number of the stream is read against: the gold where its number is the aim, else the floor."""
    return GOLD if column.better == "gold" else FLOOR


def at(cells: Cells, row: str, column: Column, number: int) -> Values:
    """Value by seed after a deletion. What equals all that is gone is stored once: the latest after the first
    deletion, and the first ones as long as no more have gone.
    """
    name, metric = cells.stream()[number], column.metric
    found = cells.values(name, row, metric)
    alike = number == 1 if metric.startswith(LATEST) else metric.startswith(FIRST)
    return found or (cells.values(name, row, metric.removeprefix(LATEST).removeprefix(FIRST)) if alike else {})


def changes(cells: Cells, row: str, column: Column) -> tuple[int, int, Values] | None:
    """First and last deletion measured, and last minus first by seed; None with fewer than two.

    Where the gold's number is the aim, it is the change of the difference to the gold of that deletion.
    """
    measured = [number for number in cells.stream() if _distance(cells, row, column, number)]
    if len(measured) < 2:
        return None
    first, last = (_distance(cells, row, column, number) for number in (measured[0], measured[-1]))
    change = {seed: last[seed] - first[seed] for seed in first.keys() & last.keys()}
    return (measured[0], measured[-1], change) if change else None


def floor_reach(cells: Cells, column: Column) -> float | None:
    """By how much the floor differs between two deletions by chance (95 %); None with fewer than three deletions."""
    found = [_distance(cells, FLOOR, column, number) for number in cells.stream()]
    values = [by_seed[min(by_seed)] for by_seed in found if by_seed]
    if len(values) < 3:
        return None
    return float(stats.t.ppf(0.975, len(values) - 1) * np.sqrt(2) * np.std(values, ddof=1))


def _distance(cells: Cells, row: str, column: Column, number: int) -> Values:
    own = at(cells, row, column, number)
    if column.better != "gold":
        return own
    gold = at(cells, GOLD, column, number)
    return {seed: own[seed] - gold[seed] for seed in own.keys() & gold.keys()}


def _table(cells: Cells, method: str) -> list[str]:
    columns = _columns(cells, method)
    heads = [name for each in columns for name in (each.header, label(beside(each)).partition(",")[0])]
    lines = []
    for number in cells.stream():
        pairs = [[_estimate(at(cells, row, c, number)) for row in (method, beside(c))] for c in columns]
        if any(own for own, _ in pairs):
            texts = [c.text(each) for c, pair in zip(columns, pairs, strict=True) for each in pair]
            lines.append([str(number), *texts])
    return grid([f"{label(method)} after deletion", *heads], lines)


def _spent(cells: Cells, method: str) -> list[str]:
    """What was spent so far, where audits are counted."""
    columns = [column(cells, metric) for metric in _COSTS]
    numbers = {n: [cells.estimate(name, method, c.metric) for c in columns] for n, name in cells.stream().items()}
    if not any(found[-2] for found in numbers.values()):
        return []
    lines = [
        [str(number), *(c.text(each) for c, each in zip(columns, found, strict=True))]
        for number, found in numbers.items()
    ]
    return [*grid([f"{label(method)} after deletion", *(c.header for c in columns)], lines), ""]


def _columns(cells: Cells, method: str) -> list[Column]:
    names = cells.stream().values()
    return [column(cells, m) for m in ASKED if any(cells.values(name, method, m) for name in names)]


def _estimate(values: Values) -> Estimate | None:
    return over_seeds(values) if values else None


def _sentences(cells: Cells, method: str) -> list[str]:
    found = [line for each in _columns(cells, method) if (line := _sentence(cells, method, each))]
    spent = [e for name in cells.stream().values() if (e := cells.estimate(name, method, "seconds_ratio_whole"))]
    if spent:
        mean = times(float(np.mean([each.mean for each in spent])))
        found.append(f"- Time: {mean} retrainings a deletion on average, what is made once shared by all of them.")
    return found


def _sentence(cells: Cells, method: str, column: Column) -> str | None:
    found = changes(cells, method, column)
    if found is None:
        return None
    first, last, change = found
    estimate, reach, shown = over_seeds(change), floor_reach(cells, column), differences(column)
    what = f"{column.title} minus the gold's" if column.better == "gold" else column.title
    text = f"- {what}, deletion {last} minus deletion {first}: {with_unit(shown, signed(column, estimate))}"
    if reach is not None:
        text += f"; by chance the floor changes by up to {with_unit(shown, shown.number(reach))} (95 %)"
    return f"{text}: {_word(estimate, reach, column)}."


def _word(change: Estimate, reach: float | None, column: Column) -> str:
    if math.isnan(change.low):
        return "one seed, nothing can be told from chance"
    if change.low <= 0 <= change.high:
        return "no drift is shown"
    if reach is not None and abs(change.mean) <= reach:
        return "a change, but no larger than the floor's own"
    worse = change.mean > 0 if column.better == "lower" else change.mean < 0
    return "it drifts away from the gold" if worse else "it does not fall behind"
