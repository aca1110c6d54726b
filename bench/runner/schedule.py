"""Run tasks in several processes: always the first in order of priority whose needs are met.

A task that fails does not stop the others; what needs it is skipped, and both are reported. After the deadline nothing
new is started, and a task that stops itself (`stopped`) stays undone.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

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
    work: Callable[[T], Any],
    pool: Callable[[], Executor],
    jobs: int,
    *,
    deadline: float | None = None,
    hooks: Hooks[T] | None = None,
) -> Report[T]:
    """Run all tasks (in order of priority → what each needs). `pool()` makes an executor; `deadline` is unix time."""
    hooks, report, running = hooks or Hooks(), Report(), {}
    waiting, executor = list(tasks), pool()
    try:
        while waiting or running:
            _start(tasks, waiting, running, report, executor, work, jobs, deadline, hooks)
            if not running:
                break
            finished, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            broken = [_settle(running.pop(future), future, report, hooks) for future in finished]
            if any(broken):
                executor.shutdown(wait=False, cancel_futures=True)
                executor = pool()
            hooks.ticked(list(running.values()))
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
    report.undone += waiting
    return report


def _start(
    tasks: Mapping[T, Sequence[T]],
    waiting: list[T],
    running: dict[Future, T],
    report: Report[T],
    executor: Executor,
    work: Callable[[T], Any],
    jobs: int,
    deadline: float | None,
    hooks: Hooks[T],
) -> None:
    """Fill the free places, and drop what can never run."""
    done, lost = set(report.done), {*report.failed, *report.skipped}
    for task in list(waiting):
        broken = next((need for need in tasks[task] if need in lost), None)
        if broken is not None:
            report.skipped[task] = report.skipped.get(broken, broken)
            lost.add(task)
            waiting.remove(task)
        elif len(running) < jobs and (deadline is None or time.time() < deadline) and done.issuperset(tasks[task]):
            hooks.started(task)
            running[executor.submit(work, task)] = task
            waiting.remove(task)


def _settle(task: T, future: Future, report: Report[T], hooks: Hooks[T]) -> bool:
    """Enter a finished task in the report; True where its process died."""
    error = future.exception()
    if error is not None:
        died = isinstance(error, BrokenProcessPool)
        report.failed[task] = "its process died (memory?)" if died else f"{type(error).__name__}: {error}"
        return died
    result = future.result()
    if isinstance(result, Stopped):
        report.undone.append(task)
        return False
    try:
        hooks.finished(task, result)
    except Exception as error:
        report.failed[task] = f"{type(error).__name__}: {error}"
    else:
        report.done.append(task)
    return False
