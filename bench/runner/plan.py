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
from bench.variants import needs_lessons, needs_references, needs_twin

STREAM_GOLDS = 2  # one is the reference, the other the floor
FLEET = "fleet/"  # a fleet's numbers are apart from those of single models of the same forget set
VERDICT = "verdict/"  # and so are the verdicts without golds, beside the truth
DEFAULT, HALF_WAY = "tmu-soft", "half-way"
OUTCOMES = ("passed", "failed", "inconclusive")
CONTROLLED = ("original", HALF_WAY)  # judged beside the methods: nothing done, and half of the default's change

Cell = tuple[str, str, int]  # forget set, row, seed: what the results table knows


@dataclass(frozen=True)
class Task:
    """number: the seed, or the gold's. kind: original, twin, references, lessons, crossfit, forget, gold, controls,
    predictor, method, deletion (one of a stream that is not measured), verdict, or for a fleet: unlearn (one model of a
    row), fleet (the row's numbers).
    """

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
        if self.kind == "verdict":
            return ((f"{VERDICT}{self.forget}", self.row, self.number),)
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


def stream_name(suite: Suite, step: int) -> str:
    """The forget set of a deletion: stream/01, ..., in a stream of a hundred or more stream/001."""
    return f"stream/{step:0{max(2, len(str(suite.stream.deletions)))}d}"


def steps(suite: Suite) -> list[str]:
    """The stream's forget sets that are measured."""
    if suite.stream is None:
        return []
    return [stream_name(suite, step) for step in suite.stream.measured or range(1, suite.stream.deletions + 1)]


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
    return found + _verdicts(suite) + _fleet(suite)


def _verdicts(suite: Suite) -> list[Task]:
    """Of each forget set: honest retrains, controls, methods; each under every seed."""
    if suite.verdicts is None:
        return []
    asked = suite.verdicts
    methods = suite.methods if asked.methods is None else asked.methods
    rows = ("second gold", *CONTROLLED, *methods)
    seeds = suite.seeds if asked.seeds is None else asked.seeds
    return [Task("verdict", forget, row, seed) for forget in judged_on(suite) for row in rows for seed in seeds]


def judged_on(suite: Suite) -> tuple[str, ...]:
    """The forget sets of the verdicts."""
    return tuple(suite.forget_sets) if suite.verdicts.forget_sets is None else suite.verdicts.forget_sets


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
    if task.kind in ("original", "crossfit", "references"):
        return []
    if task.kind == "twin":
        return [Task("original", number=seed)]
    if task.kind == "lessons":
        return [Task("original", number=seed), Task("references", number=seed)]
    if task.kind == "forget":
        fitted = not in_stream(forget) and forget not in drawn and needs_crossfit(suite.forget_sets[forget]["kind"])
        return [Task("crossfit")] if fitted else []
    if task.kind == "gold":
        return [Task("forget", forget)]
    if task.kind == "fleet":
        return _needs_of_fleet(suite, task)
    if task.kind == "method" and suite.methods[task.row].train:  # it makes an original and golds of its own recipe
        return [Task("forget", forget)]
    found = [Task("original", number=seed), Task("forget", forget), *_help(suite, task)]
    if task.kind == "unlearn":
        return found
    if task.kind in ("method", "deletion") and in_stream(forget) and step_of(forget) > 1:
        before = stream_name(suite, step_of(forget) - 1)
        found.append(Task("method" if before in steps(suite) else "deletion", before, task.row, seed))
    if task.kind == "deletion":
        return found
    return found + [Task("gold", forget, number=gold) for gold in range(golds_of(suite, forget))]


def _help(suite: Suite, task: Task) -> list[Task]:
    """What is made once for an original."""
    if task.kind == "predictor":
        return [Task("twin", number=task.number)]
    if task.kind == "verdict":
        return [Task("references", number=task.number), *_judged(suite, task)]
    if task.kind not in ("method", "deletion", "unlearn"):
        return []
    method = suite.method(task.row)
    asked = {"twin": needs_twin(method), "references": needs_references(method), "lessons": needs_lessons(method)}
    return [Task(kind, number=task.number) for kind, needed in asked.items() if needed]


def _judged(suite: Suite, task: Task) -> list[Task]:
    """The model that a verdict is about, where a method made it."""
    row = DEFAULT if task.row == HALF_WAY else task.row
    if row not in suite.methods:
        return []
    if suite.methods[row].runs_on(task.forget):
        return [Task("method", task.forget, row, task.number)]
    return [Task("forget", task.forget), *_help(suite, Task("unlearn", task.forget, row, task.number))]


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
