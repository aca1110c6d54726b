"""Sentences about the default method on one forget set, each computed from the stored numbers; they may say no."""

import math

from bench.statistics import Estimate, paired
from bench.tables.cells import DEFAULT, EARLIER, FLOOR, ORIGINAL, RANDOM_CHOICE, Cells
from bench.tables.columns import Column, column, differences, signed, with_unit
from bench.tables.contest import contest, score
from bench.tables.markdown import bold, label, listed
from bench.tables.ratio import ratio

ASKED = ("average_gap", "activation_distance")


def verdict(cells: Cells, forget_set: str) -> list[str]:
    """Is the default best or tied, how far is it from the floor, and is it better than the controls?"""
    asked = [column(cells, metric) for metric in ASKED]
    if not all(DEFAULT in contest(cells, forget_set, each).scores for each in asked):
        return [f"- Nothing is said about {label(DEFAULT)} here: it has not been measured on every seed."]
    lines = [_standing(cells, forget_set, each) for each in asked]
    won = [best_or_tied(cells, forget_set, each) for each in asked]
    answer = "not decided, one seed" if None in won else "yes" if all(won) else "no"
    lines.append("- " + bold(f"Best or tied in both numbers: {answer}."))
    for each in asked:
        lines += [_floor(cells, forget_set, each), _controls(cells, forget_set, each)]
    return [line for line in lines if line]


def best_or_tied(cells: Cells, forget_set: str, column: Column) -> bool | None:
    """Whether no method is better than the default beyond chance; None where it lacks seeds or there is but one."""
    held = contest(cells, forget_set, column)
    return DEFAULT in held.winners if len(held.scores.get(DEFAULT, ())) > 1 else None


def _standing(cells: Cells, forget_set: str, column: Column) -> str:
    held = contest(cells, forget_set, column)
    value = with_unit(column, column.text(cells.estimate(forget_set, DEFAULT, column.metric)))
    number = f"{column.title} {value}"
    field = f"of {len(held.scores)} methods" if len(held.scores) > 1 else "of one method"
    if held.best == DEFAULT:
        others = f", and not to be told from {listed(held.tied)}" if held.tied else ""
        return f"- {number}: {label(DEFAULT)} is the best {field}{others}.{_one_seed(cells, forget_set)}"
    difference = with_unit(differences(column), signed(column, held.behind(DEFAULT)))
    if DEFAULT in held.tied:
        return (
            f"- {number}: {label(DEFAULT)} is tied with {label(held.best)}, the best {field}; paired difference "
            f"{difference}."
        )
    return (
        f"- {number}: {label(DEFAULT)} is not the best {field}: {label(held.best)} is better; paired difference "
        f"{difference}.{_one_seed(cells, forget_set)}"
    )


def _floor(cells: Cells, forget_set: str, column: Column) -> str | None:
    ours, floor = (cells.values(forget_set, row, column.metric) for row in (DEFAULT, FLOOR))
    over = ratio(ours, floor)
    if over is None:
        return None
    high = "∞" if math.isinf(over.high) else f"{over.high:.2f}"
    interval = "" if math.isnan(over.low) else f" [{over.low:.2f}, {high}]"
    return f"- {column.title} over the floor's: {over.mean:.2f}{interval} ({_against(paired(ours, floor))})."


def _controls(cells: Cells, forget_set: str, column: Column) -> str | None:
    parts = []
    for control in (ORIGINAL, RANDOM_CHOICE, EARLIER):
        ours, theirs = (score(cells, forget_set, row, column) for row in (DEFAULT, control))
        if ours.keys() & theirs.keys():
            found = paired(ours, theirs)
            parts.append(f"{signed(column, found)} to {control} ({_better(found)})")
    return f"- {column.title} beside the controls, paired: {'; '.join(parts)}." if parts else None


def _against(difference: Estimate) -> str:
    if math.isnan(difference.low):
        return "one seed: no interval"
    if difference.low > 0:
        return "above the floor"
    return "below the floor" if difference.high < 0 else "not distinguishable from a second gold"


def _better(difference: Estimate) -> str:
    if math.isnan(difference.low):
        return "one seed: no interval"
    if difference.high < 0:
        return "better"
    return "worse" if difference.low > 0 else "not distinguishable"


def _one_seed(cells: Cells, forget_set: str) -> str:
    return " One seed: nothing can be told from chance." if len(cells.seeds(forget_set)) == 1 else ""
