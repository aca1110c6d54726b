"""An audit's numbers as text: Markdown, the terminal, and the cells that the report page shares with them.

Everything here reads the JSON form of the audit, so that a stored `audit.json` can be shown without computing anything.
Every header carries unit and direction: lower is better, higher is better, or "→ gold": the gold's number is the aim.
"""

from typing import Any

from rich import box
from rich.table import Table

ARROWS = {"lower": "↓", "higher": "↑", "gold": "→ gold"}
SECONDS_HEADER = "cost (s) ↓"
_DIGITS = {"L2": 3, "probability": 3}
NONE = "–"


def header(metric: dict[str, Any]) -> str:
    """Title, unit and direction, such as "avg gap (pts) ↓"."""
    return f"{metric['title']} ({metric['unit']}) {ARROWS[metric['better']]}"


def number(value: float, unit: str) -> str:
    """A value with the digits its unit deserves."""
    if unit == "relative":
        return f"{value:.1e}"
    return f"{value:.{_DIGITS.get(unit, 1)}f}"


def span(cell: dict[str, float], unit: str) -> str:
    """The 95 % interval as "low to high"; a word, since a dash before a negative number misleads."""
    return f"{number(cell['low'], unit)} to {number(cell['high'], unit)}"


def seconds(value: float | None) -> str:
    """Seconds with two significant digits below ten."""
    if value is None:
        return NONE
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def caption(data: dict[str, Any]) -> str:
    """How the numbers were made, in one line."""
    sizes = ", ".join(f"{count:,} {name}" for name, count in data["records"].items())
    facing = f"references: {data['references']} pairs" if "references" in data else f"golds: {len(data['golds'])}"
    facing = f"proof: {data['proof']}" if "proof" in data else facing
    return f"95 % bootstrap intervals over records ({sizes}; {data['resamples']:,} resamples; {facing})"


def headline(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics that belong in a narrow table."""
    return [metric for metric in data["metrics"] if metric["headline"]]


def markdown(data: dict[str, Any]) -> str:
    """Models by headline metrics, each cell "value (low to high)"."""
    metrics = headline(data)
    lines = [["model", *map(header, metrics), SECONDS_HEADER], ["---"] + ["---:"] * (len(metrics) + 1)]
    for row in data["rows"]:
        cells = [_markdown_cell(row["metrics"][metric["name"]], metric["unit"]) for metric in metrics]
        lines.append([row["name"].replace("|", "\\|"), *cells, seconds(row["seconds"])])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\n{caption(data)}\n"


def _markdown_cell(cell: dict[str, float] | None, unit: str) -> str:
    return NONE if cell is None else f"{number(cell['value'], unit)} ({span(cell, unit)})"


def rich_table(data: dict[str, Any]) -> Table:
    """Headline metrics down, models across: the form that fits a terminal of 80 columns with five models."""
    table = Table(box=box.SIMPLE_HEAD, caption=caption(data), caption_justify="left", pad_edge=False, padding=0)
    table.add_column("", min_width=15, max_width=26)
    for row in data["rows"]:
        table.add_column(row["name"], justify="right")
    for metric in headline(data):
        cells = [_rich_cell(row["metrics"][metric["name"]], metric["unit"]) for row in data["rows"]]
        table.add_row(header(metric), *cells)
    table.add_row(SECONDS_HEADER, *(seconds(row["seconds"]) for row in data["rows"]))
    return table


def _rich_cell(cell: dict[str, float] | None, unit: str) -> str:
    if cell is None:
        return NONE
    return f"[bold]{number(cell['value'], unit)}[/]\n[dim]{number(cell['low'], unit)}–{number(cell['high'], unit)}[/]"
