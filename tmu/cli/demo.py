"""`tmu demo`."""

from pathlib import Path
from typing import Any

from tmu.cli import flow, output
from tmu.cli.outcome import shown_outcome
from tmu.cli.workspace import home


def demo(as_json: output.Json = False) -> None:
    """See it all work: one simulated person, then nineteen more, are deleted from a digit classifier, with audit.

    It runs in a folder of its own (--home, else `demo`), which each run makes anew. Example: [bold]tmu demo[/]
    """
    summary = flow.load("demo")(home())
    output.emit(
        summary, lambda: [*shown_outcome(summary, Path(home() or "demo").resolve()), *shown_beside_gold(summary)]
    )


def shown_beside_gold(summary: dict[str, Any]) -> list[Any]:
    """The closing table: what the deletion of nineteen people cost beside a retraining, and how near it came to it."""
    from rich import box
    from rich.table import Table

    rows = summary["beside_gold"]
    gold = next(row for row in rows if row["name"] == "gold")
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), title="Nineteen people, beside a retrained gold"
    )
    share = "of the\ngold's"
    for head in ("", "test\n(%)", "forgotten\n(%)", "distance to\nthe gold ↓", "step", share, "in all", share):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for row in rows:
        table.add_row(row["name"], *_cells(row, gold))
    return ["", table, *_closing(summary, gold)]


def _cells(row: dict[str, Any], gold: dict[str, Any]) -> list[str]:
    from tmu.steps.plan_facts import worded_seconds, worded_share

    answers = [f"{row['accuracy_test']:.1f}", f"{row['accuracy_forgotten']:.1f}"]
    distance = "–" if row is gold else f"{row['distance']:.3f}"
    if row["name"] == "original":
        return [*answers, distance, *["–"] * 4]
    costs = [
        text
        for part in ("seconds_step", "seconds_whole")
        for text in (worded_seconds(row[part]), worded_share(row[part] / gold[part]))
    ]
    return [*answers, distance, *costs]


def _closing(summary: dict[str, Any], gold: dict[str, Any]) -> list[str]:
    """In sentences: one person's price, from when on references pay, the verdict on the people, the pictures."""
    from tmu.steps.plan_facts import worded_seconds, worded_share

    one, pays = summary["first"]["price"], summary["choice"]["pays_from"]
    share = worded_share(one["request"] / gold["seconds_whole"])
    paid = (
        "never pay for themselves on so few records" if pays is None else f"pay for themselves from deletion {pays} on"
    )
    pictures = [f"Picture: {path}" for path in summary["pictures"][:1]]
    return [
        f"The first request, one person: {worded_seconds(one['request'])} in all, {share} of this retraining in all.",
        f"The references {paid}, by the seconds of this machine.",
        *([summary["sentence"]] if summary["sentence"] else []),
        *pictures,
        f"Everything took {worded_seconds(summary['seconds'])}.",
    ]
