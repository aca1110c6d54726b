"""Requests for people: tables and facts, never a person."""

import json
from typing import Any

from rich.text import Text

from tmu.cli import output

_COLUMNS = ("request", "state", "days_left", "due", "received")


def table_of(rows: list[dict[str, Any]]) -> list[Any]:
    """Requests as a table; times to the minute."""
    made = output.table(*(name.replace("_", " ") for name in _COLUMNS), numbers=["days left"])
    for row in rows:
        made.add_row(*(Text(_cell(name, row)) for name in _COLUMNS))
    return [made]


def holds_of(rows: list[dict[str, Any]]) -> list[Any]:
    """Holds one by one, since their ids must be read whole to be released."""
    names = ("id", "scope", "dataset", "placed_at", "reason")
    return [output.facts({name.replace("_", " "): row[name] for name in names if row[name]}) for row in rows]


def board_of(rows: list[dict[str, Any]], *, forecast: bool) -> Any:
    """The board of dates: the most urgent first, what is late or will be in colour."""
    names = ["request", "state", "days left", "used", "due", "warning", *(["done by"] if forecast else [])]
    made = output.table(*names, numbers=["days left", "used"])
    for row in rows:
        cells = [row["request"], row["state"], f"{row['days_left']:.1f}", f"{row['percent']:.0f} %", row["due"][:10]]
        cells += [_warning(row)] + ([row.get("finishes", "")[:16].replace("T", " ")] if forecast else [])
        late = row["warning"] == 100 or row.get("misses")
        made.add_row(*map(Text, cells), style="bold red" if late else "yellow" if row["warning"] else "")
    return made


def facts_of(value: dict[str, Any]) -> list[Any]:
    """One request: its facts, its receipts in numbers, and the log's entries on it."""
    plain = {name: part for name, part in value.items() if not isinstance(part, list)}
    plain |= {name: len(value[name]) for name in ("receipts", "approvals", "evidence")}
    rows = output.table("entry", "time", "actor", "event", "reason", numbers=["entry"])
    for entry in map(json.loads, value["log"]):
        cells = (entry["seq"], entry["at"][:16].replace("T", " "), entry["actor"], entry["event"], entry["reason"])
        rows.add_row(*(Text(str(cell or "")) for cell in cells))
    return [output.facts({name: "" if part is None else part for name, part in plain.items()}), rows]


def _cell(name: str, row: dict[str, Any]) -> str:
    part = row[name]
    if part is None:
        return ""
    if name == "days_left":
        return f"{part:.1f}" + (" (paused)" if row["paused"] else "")
    return str(part)[:16].replace("T", " ") if name in ("due", "received") else str(part)


def _warning(row: dict[str, Any]) -> str:
    words = ["overdue" if row["warning"] == 100 else f"{row['warning']} %"] if row["warning"] else []
    words += ["paused"] if row["paused"] else []
    words += ["will miss its date"] if row.get("misses") and row["warning"] < 100 else []
    return ", ".join(words)
