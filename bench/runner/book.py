"""The stored results of a suite, as a run sees them: which cells are done, and where new rows go.

Rows are collected and written every few seconds by one process at a time; what a kill loses is measured again from the
models that were kept.
"""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from bench import results
from bench.runner.plan import Cell, Task
from bench.stamp import stamp
from bench.suite import CONTROLS, PREDICTOR, Suite
from tmu.provenance import now
from tmu.stores.lock import locked

_EVERY = 5.0  # seconds between writes


class Book:
    """folder: where the table lies. command: what a reader types to measure a suite's cells again."""

    def __init__(self, suite: Suite, folder: Path, lock: Path, command: str) -> None:
        self.suite, self.folder, self.lock, self.command = suite, folder, lock, command
        self._rows: list[dict[str, Any]] = []
        self._wrote = time.monotonic()
        self._marks: dict[str, str] | None = None

    def cells(self) -> set[Cell]:
        """Cells that have rows."""
        table = results.read(self.suite.name, self.folder).select(["dataset", "forget_set", "method", "seed"])
        columns = [table[name].to_pylist() for name in table.column_names]
        return {(f, m, s) for d, f, m, s in zip(*columns, strict=True) if d == self.suite.dataset}

    def add(self, task: Task, rows: list[dict[str, Any]]) -> None:
        """Keep a task's rows; they are written soon."""
        if self._marks is None:
            self._marks = {name: value for name, value in stamp(threads=1).items() if name != "at"}
        common = {"dataset": self.suite.dataset, "command": self.command, "at": now(), **self._marks}
        self._rows += [{**row, **common} for row in rows]
        if time.monotonic() - self._wrote > _EVERY:
            self.write()

    def write(self) -> None:
        """Write what is kept."""
        if self._rows:
            with locked(self.lock):
                results.add(self.suite.name, self._rows, self.folder, cells=True)
            self._rows = []
        self._wrote = time.monotonic()

    def forget(self, row: str, wanted: Callable[[Cell], bool]) -> int:
        """Remove the rows of a method (`controls`: of the three control rows) whose cell is wanted; how many."""
        names = CONTROLS if row == "controls" else (row,)

        def unwanted(stored: dict[str, Any]) -> bool:
            cell = (stored["forget_set"], stored["method"], stored["seed"])
            return stored["dataset"] == self.suite.dataset and stored["method"] in names and wanted(cell)

        with locked(self.lock):
            return results.drop(self.suite.name, unwanted, self.folder)


def known_rows(suite: Suite) -> Collection[str]:
    """What `--fresh` may name."""
    return ("controls", PREDICTOR, *suite.methods)
