"""What a suite needs, as tasks in order of priority with their dependencies.

Forget sets come in the suite's order, and within each: originals and golds with the control rows, then the methods in
the suite's order, seed by seed. Then come the stream and the fleet. A task that only finished cells would need is not
planned.
"""

import fnmatch
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bench.forget_sets import needs_crossfit
from bench.suite import CONTROLS, PREDICTOR, Suite
from bench.variants import needs_twin

STREAM_GOLDS = 2  # one is the reference, the other the floor
FLEET = "fleet/"  # a fleet's numbers are apart from those of single models of the same forget set

Cell = tuple[str, str, int]  # forget set, row, seed: what the results table knows


@dataclass(frozen=True)
class Task:
    """number: the seed, or the gold's. kind: original, twin, crossfit, forget, gold, controls, predictor, method, or
    for a fleet: unlearn (one model of a row), fleet (the row's numbers)."""

    kind: str
    forget: str = ""
    row: str = ""
    number: int = 0

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.forget, self.row, str(self.number)) if part)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that the task measures; none where it only makes what others need."""
        if self.kind == "method":
            return ((self.forget, self.row, self.number),)
        if self.kind == "controls":
            return tuple((self.forget, row, self.number) for row in CONTROLS)
        if self.kind == "fleet":
            return ((f"{FLEET}{self.forget}", self.row, 0),)
        return ((self.forget, PREDICTOR, self.number),) if self.kind == "predictor" else ()


def in_stream(forget: str) -> bool:
    """Whether a forget set is a deletion of the stream."""
    return forget.startswith("stream/")


def step_of(forget: str) -> int:
    """Which deletion of the stream, 1 the first."""
    return int(forget.partition("/")[2])


def steps(suite: Suite) -> list[str]:
    """The stream's forget sets: stream/01, ..."""
    return [f"stream/{step:02d}" for step in range(1, suite.stream.deletions + 1)] if suite.stream else []


def golds_of(suite: Suite, forget: str) -> int:
    """How many golds a forget set has."""
    return STREAM_GOLDS if in_stream(forget) else suite.golds


def floor_gold(suite: Suite, forget: str, seed: int) -> int:
    """The gold that is left out of a seed's reference golds and shown as its noise floor."""
    return seed % golds_of(suite, forget)


def measuring(suite: Suite) -> list[Task]:
    """All tasks that measure cells, in order of priority."""
    found = []
    for forget in suite.forget_sets:
        rows = [row for row, given in suite.methods.items() if given.runs_on(forget)]
        found += [Task("controls", forget, number=seed) for seed in suite.seeds]
        if any(needs_twin(suite.method(row)) for row in rows):
            found += [Task("predictor", forget, number=seed) for seed in suite.seeds]
        found += [Task("method", forget, row, seed) for row in rows for seed in suite.seeds]
    if suite.stream:
        for forget in steps(suite):
            found += [Task("controls", forget, number=seed) for seed in suite.stream.seeds]
            found += [Task("method", forget, row, seed) for row in suite.stream.methods for seed in suite.stream.seeds]
    return found + _fleet(suite)


def _fleet(suite: Suite) -> list[Task]:
    """A row each: do nothing, the floor, the methods."""
    if suite.fleet is None:
        return []
    rows = ("original", "second gold", *suite.fleet.methods)
    return [Task("fleet", suite.fleet.forget_set, row) for row in rows]


def matching(tasks: Iterable[Task], patterns: Collection[str]) -> list[Task]:
    """The tasks of which a cell matches one of the patterns (`random-10/tmu-soft/0`, `*/tmu*/*`); no pattern: all."""
    texts = {task: [f"{forget}/{row}/{seed}" for forget, row, seed in task.cells] for task in tasks}
    return [
        task
        for task, names in texts.items()
        if not patterns or any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)
    ]


def missing(tasks: Iterable[Task], stored: Collection[Cell]) -> list[Task]:
    """The tasks of which a cell has no stored rows."""
    return [task for task in tasks if not all(cell in stored for cell in task.cells)]


def needs(suite: Suite, task: Task, drawn: Collection[str] = ()) -> list[Task]:
    """What must be there before a task; `drawn`: forget sets whose mask is stored, so that no cross-fit is needed."""
    seed, forget = task.number, task.forget
    if task.kind in ("original", "crossfit"):
        return []
    if task.kind == "twin":
        return [Task("original", number=seed)]
    if task.kind == "forget":
        fitted = not in_stream(forget) and forget not in drawn and needs_crossfit(suite.forget_sets[forget]["kind"])
        return [Task("crossfit")] if fitted else []
    if task.kind == "gold":
        return [Task("forget", forget)]
    if task.kind == "fleet":
        return _needs_of_fleet(suite, task)
    found = [Task("original", number=seed), Task("forget", forget)]
    if task.kind == "predictor" or (task.kind in ("method", "unlearn") and needs_twin(suite.method(task.row))):
        found.append(Task("twin", number=seed))
    if task.kind == "unlearn":
        return found
    found += [Task("gold", forget, number=gold) for gold in range(golds_of(suite, forget))]
    if task.kind == "method" and in_stream(forget) and step_of(forget) > 1:
        found.append(Task("method", f"stream/{step_of(forget) - 1:02d}", task.row, seed))
    return found


def _needs_of_fleet(suite: Suite, task: Task) -> list[Task]:
    """N originals, N golds to face, N more for the floor; of a method one model from each original."""
    models = range(suite.fleet.models)
    found = [Task("forget", task.forget), *(Task("original", number=number) for number in models)]
    found += [Task("gold", task.forget, number=number) for number in range(2 * suite.fleet.models)]
    if task.row not in CONTROLS:
        found += [Task("unlearn", task.forget, task.row, number) for number in models]
    return found


def with_needs(suite: Suite, wanted: Iterable[Task], drawn: Collection[str] = ()) -> dict[Task, list[Task]]:
    """Every task that the wanted ones need, each after its needs, in order of priority → what it needs."""
    ordered: dict[Task, list[Task]] = {}

    def visit(task: Task) -> None:
        if task not in ordered:
            before = needs(suite, task, drawn)
            for each in before:
                visit(each)
            ordered[task] = before

    for task in wanted:
        visit(task)
    return ordered
