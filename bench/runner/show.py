"""What a run says while it works (bars on stderr), and the tables of `--list` and `--status`."""

import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.runner.plan import Cell, Task, measuring
from bench.suite import Suite
from tmu.cli import output


class Bars:
    """Two lines on a terminal: cells, and what runs. Elsewhere one line a task."""

    def __init__(self, tasks: Iterable[Task], done: int, total: int, jobs: int) -> None:
        self.left, self.done, self.jobs = set(tasks), done, jobs
        self.started: dict[Task, float] = {}
        self.took: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        columns = (*columns, TextColumn("{task.fields[note]}"))
        self.bars = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.bar = self.bars.add_task("cells", total=total, completed=done, note="")
        self.total = total

    def __enter__(self) -> "Bars":
        self.bars.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.bars.stop()

    def start(self, task: Task) -> None:
        """A task begins."""
        self.started[task] = time.monotonic()

    def finish(self, task: Task, note: str = "") -> None:
        """A task ended; `note` is shown."""
        seconds = time.monotonic() - self.started[task]
        self.took[task.kind, task.row].append(seconds)
        self.left.discard(task)
        self.done += len(task.cells)
        if not self.console.is_terminal:
            print(
                f"{self.done}/{self.total} cells, {task}: {seconds:.1f} s, {self._eta()} {note}".strip(),
                file=sys.stderr,
            )
        elif note:
            self.console.print(note, markup=False)

    def tick(self, running: Sequence[Task]) -> None:
        """Show what runs."""
        self.bars.update(self.bar, completed=self.done, note=f"{self._eta()}: {', '.join(map(str, running))}")

    def _eta(self) -> str:
        """Time left, from the mean of what tasks of each kind and row took so far."""
        known = [value for values in self.took.values() for value in values]
        if not known:
            return "time left unknown"
        usual = sum(known) / len(known)
        of = {key: sum(values) / len(values) for key, values in self.took.items()}
        seconds = sum(of.get((task.kind, task.row), usual) for task in self.left) / max(1, self.jobs)
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"


def suites_table(suites: list[Suite]) -> Any:
    """Every suite with its size."""
    table = output.table("suite", "title", "cells", numbers=["cells"])
    for suite in suites:
        cells = sum(len(task.cells) for task in measuring(suite))
        table.add_row(suite.name, suite.title, str(cells))
    return table


def status(suite: Suite, stored: Collection[Cell]) -> list[dict[str, Any]]:
    """Per forget set: how many cells are done, and which rows still lack seeds."""
    found: dict[str, dict[str, Any]] = {}
    for task in measuring(suite):
        for cell in task.cells:
            entry = found.setdefault(cell[0], {"forget_set": cell[0], "done": 0, "missing": 0, "rows_missing": {}})
            entry["done" if cell in stored else "missing"] += 1
            if cell not in stored:
                entry["rows_missing"].setdefault(cell[1], []).append(cell[2])
    return list(found.values())


def status_table(entries: list[dict[str, Any]]) -> Any:
    """The same for people."""
    table = output.table("forget set", "done", "missing", "rows that lack seeds", numbers=["done", "missing"])
    for entry in entries:
        rows = ", ".join(f"{row} ({len(seeds)})" for row, seeds in entry["rows_missing"].items())
        shown = rows or "none" if entry["done"] else "all"
        table.add_row(entry["forget_set"], str(entry["done"]), str(entry["missing"]), shown)
    return table
