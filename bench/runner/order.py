"""Hand tasks to a crew in their order: always the first in order of priority whose needs are met.

A task that fails does not stop the others; what needs it is skipped, and both are reported. After the deadline nothing
new is handed over, and a task that stops itself (`stopped`) stays undone.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Generic, TypeVar

from tmu.compute import Crew, Ended
from tmu.compute.outcome import WorkFailed

T = TypeVar("T")


@dataclass
class Report(Generic[T]):
    """How it went. failed: task → why; skipped: task → the failed one that it needed; undone: the time was up."""

    done: list[T] = field(default_factory=list)
    failed: dict[T, str] = field(default_factory=dict)
    skipped: dict[T, T] = field(default_factory=dict)
    undone: list[T] = field(default_factory=list)


@dataclass(frozen=True)
class Hooks(Generic[T]):
    """What the caller hears: a task starts; a task gave its result; once a second, what runs."""

    started: Callable[[T], None] = lambda task: None
    finished: Callable[[T, Any], None] = lambda task, result: None
    ticked: Callable[[Sequence[T]], None] = lambda running: None


class Stopped:
    """What a task returns that stopped itself at the deadline."""


def run(
    tasks: Mapping[T, Sequence[T]],
    item: Callable[[T], Any],
    crew: Crew,
    *,
    deadline: float | None = None,
    hooks: Hooks[T] | None = None,
) -> Report[T]:
    """Run all tasks (in order of priority → what each needs). `item(task)` is what the crew gets; `deadline` is unix
    time.
    """
    hooks, report, running = hooks or Hooks(), Report(), {}
    needs, ready, first = TopologicalSorter(tasks), [], {task: number for number, task in enumerate(tasks)}
    needs.prepare()
    while True:
        ready = sorted([*ready, *needs.get_ready()], key=first.__getitem__)
        while ready and len(running) < crew.places and (deadline is None or time.time() < deadline):
            task = ready.pop(0)
            hooks.started(task)
            running[crew.submit(item(task))] = task
        if not running:
            break
        for each in crew.ended(1.0):
            task = running.pop(each.ticket)
            if _settled(task, each, report, hooks):
                needs.done(task)
        hooks.ticked(list(running.values()))
    _close(tasks, report)
    return report


def _settled(task: T, ended: Ended, report: Report[T], hooks: Hooks[T]) -> bool:
    """Enter a task in the report; True where it is done."""
    if ended.error is not None:
        report.failed[task] = _why(ended.error)
        return False
    if isinstance(ended.result, Stopped):
        report.undone.append(task)
        return False
    try:
        hooks.finished(task, ended.result)
    except Exception as error:
        report.failed[task] = _why(error)
        return False
    report.done.append(task)
    return True


def _why(error: Exception) -> str:
    """Class and text; a worker's words have the class in them."""
    return str(error) if isinstance(error, WorkFailed) else f"{type(error).__name__}: {error}"


def _close(tasks: Mapping[T, Sequence[T]], report: Report[T]) -> None:
    """What was never begun: skipped where a failed task is among its needs, else undone."""
    ended = {*report.done, *report.failed, *report.undone}
    for task in TopologicalSorter(tasks).static_order():
        lost = next((need for need in tasks[task] if need in report.failed or need in report.skipped), None)
        if task in ended:
            continue
        if lost is None:
            report.undone.append(task)
        else:
            report.skipped[task] = report.skipped.get(lost, lost)
    report.undone = [task for task in tasks if task in report.undone]
