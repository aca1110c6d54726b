"""The part of the report page that speaks of persons: texts only, from the JSON of `people.py`."""

from typing import Any

SHOWN = 20
MORE = "more detectable than under the golds"
_DIRECTIONS = {"member": "recognised as member", "stands_out": "stands out by low confidence"}


def people_page(people: dict[str, Any]) -> dict[str, Any]:
    """What the template shows: check, caption, and at most `SHOWN` persons, the most detectable first."""
    return {
        "passed": people["passed"],
        "reason": people["reason"],
        "caption": _caption(people),
        "head": [head for name in _DIRECTIONS.values() for head in _heads(name)] + [MORE],
        "rows": [_row(each) for each in people["people"][:SHOWN]],
    }


def _caption(people: dict[str, Any]) -> str:
    rate = f"{100 * people['false_positive_rate']:g} %"
    found = "; ".join(
        f"{name}: {counts['member']} recognised, {counts['stands_out']} standing out"
        for name, counts in people["found"].items()
    )
    listed = min(SHOWN, len(people["people"]))
    return (
        f"The {listed} most detectable of {people['persons']:,} persons; small: 95 % interval. Evidence: about 1 where "
        "the model does not know the person; the aim is the floor, neither more nor less. Found: p at most "
        f"{rate}, as happens to {rate} of unknown persons in each direction. Found: {found}."
    )


def _heads(direction: str) -> list[str]:
    return [
        f"{direction}, evidence (nats a record) → floor",
        "floor: the golds' evidence (nats a record)",
        "p (0..1), ↑ less found",
    ]


def _row(each: dict[str, Any]) -> dict[str, Any]:
    cells = [cell for name in _DIRECTIONS for cell in _direction(each[name])]
    return {
        "person": each["person"],
        "records": f"{each['records']:,}",
        "cells": [*cells, "yes" if each["more_detectable"] else "no"],
    }


def _direction(one: dict[str, Any]) -> list[str | tuple[str, str]]:
    """Evidence with its interval, the floor, p."""
    interval = f"{one['low']:.2f} to {one['high']:.2f}"
    return [(f"{one['evidence']:.2f}", interval), f"{one['floor']:.2f}", p_text(one["p_value"])]


def p_text(value: float) -> str:
    """A p-value as text."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
