"""Start a suite: what is missing, in several processes, until it is done or the time is up."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bench import results
from bench import suite as suites
from bench.runner import plan, schedule
from bench.runner.book import Book, known_rows
from bench.runner.ground import ground_file, load_ground
from bench.runner.masks import Masks
from bench.runner.show import Bars
from bench.runner.work import Context, Job, Result, perform
from bench.suite import Suite
from tmu.errors import ConfigError
from tmu.train.lane import pick_device

HOME = Path(__file__).parents[2] / ".bench"


@dataclass(frozen=True)
class Wish:
    """What the caller wants. home: folder of all caches; pool: makes the executor (tests bring their own)."""

    suite: Suite
    jobs: int | None = None
    minutes: float | None = None
    only: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    any_code: bool = False
    device: str = "auto"
    home: Path = HOME
    pool: Callable[[int], Executor] | None = None

    @property
    def root(self) -> Path:
        """The suite's cache."""
        return self.home / self.suite.name

    @property
    def toy(self) -> bool:
        """A toy's numbers mean nothing: they never lie beside the real ones."""
        return self.suite.name.endswith("-toy")

    @property
    def folder(self) -> Path:
        """Where the results lie."""
        return self.root / "results" if self.toy else results.FOLDER

    @property
    def book(self) -> Book:
        """The stored results."""
        command = f"python -m bench {self.suite.name.removesuffix('-toy')}" + " --toy" * self.toy
        return Book(self.suite, self.folder, self.root / "results.lock", command)


def start(wish: Wish) -> dict[str, Any]:
    """Measure what is missing. Returns the summary: cells, failures, refusals, whether all is done."""
    suite, book = wish.suite, wish.book
    suites.check(suite)
    begun = time.time()
    deadline = None if wish.minutes is None else begun + 60 * wish.minutes
    device = pick_device(wish.device).type
    jobs = wish.jobs or (1 if device == "cuda" else len(os.sched_getaffinity(0)))
    _measure_again(wish, book)
    context = Context(suite, ground_file(suite, wish.home), wish.root, device, deadline, wish.any_code)
    data = load_ground(context.ground, "cpu")
    masks = Masks(wish.folder / f"{suite.name}.masks.json")
    wanted = plan.matching(plan.measuring(suite), wish.only)
    missing = plan.missing(wanted, book.cells())
    tasks = plan.with_needs(suite, missing, masks.known(suite, data.digest))
    known = {name: masks.find(suite, name, data.digest, len(data.train)) for name in suite.forget_sets}
    known = {name: mask for name, mask in known.items() if mask is not None}
    total = sum(len(task.cells) for task in wanted)
    before = total - sum(len(task.cells) for task in missing)
    report, refused = _run(wish, context, tasks, jobs, Run(book, masks, known, data.digest, before, total))
    return _summary(suite, report, refused, total, book, wanted, time.time() - begun)


@dataclass(frozen=True)
class Run:
    """What the parent keeps during a run."""

    book: Book
    masks: Masks
    known: dict[str, Tensor]
    data: str
    before: int
    total: int


def _run(
    wish: Wish, context: Context, tasks: dict[plan.Task, list[plan.Task]], jobs: int, run: Run
) -> tuple[schedule.Report[plan.Task], list[str]]:
    refused: list[str] = []
    with Bars(tasks, run.before, run.total, jobs) as bars:

        def finished(task: plan.Task, result: Result) -> None:
            if result.mask is not None:
                run.known[task.forget] = result.mask
                run.masks.add(wish.suite, task.forget, run.data, result.mask)
            if result.rows:
                run.book.add(task, result.rows)
            refused.extend([result.refused] if result.refused else [])
            bars.finish(task, result.refused and f"refused: {result.refused}")

        hooks = schedule.Hooks(bars.start, finished, bars.tick)
        pool = wish.pool or _processes
        try:
            report = schedule.run(
                tasks, _Work(context, run.known), lambda: pool(jobs), jobs, deadline=context.deadline, hooks=hooks
            )
        finally:
            run.book.write()
    return report, refused


@dataclass
class _Work:
    """`perform` with the masks that are known when the task is sent."""

    context: Context
    known: dict[str, Tensor]

    def __call__(self, task: plan.Task) -> Any:
        mine = {name: mask for name, mask in self.known.items() if name == task.forget}
        return perform(Job(self.context, task, mine))


def _processes(jobs: int) -> Executor:
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the processes: two jobs of two threads each would be slower
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_end_with_the_run)


def _end_with_the_run() -> None:
    """A worker whose run was killed would finish its task, and then wait for the next one for ever."""
    run = multiprocessing.parent_process()
    threading.Thread(target=lambda: (run.join(), os._exit(1)), daemon=True).start()


def _measure_again(wish: Wish, book: Book) -> None:
    for row in wish.fresh:
        if row not in known_rows(wish.suite):
            raise ConfigError(f"There is no row `{row}`.", f"Rows: {', '.join(known_rows(wish.suite))}.")
        chosen = {cell for task in plan.matching(plan.measuring(wish.suite), wish.only) for cell in task.cells}
        book.forget(row, chosen.__contains__)


def _summary(
    suite: Suite,
    report: schedule.Report[plan.Task],
    refused: list[str],
    total: int,
    book: Book,
    wanted: list[plan.Task],
    seconds: float,
) -> dict[str, Any]:
    stored = book.cells()
    done = sum(cell in stored for task in wanted for cell in task.cells)
    return {
        "suite": suite.name,
        "cells": total,
        "done": done,
        "complete": done == total,
        "failed": {str(task): why for task, why in report.failed.items()},
        "skipped": {str(task): f"needs {before}" for task, before in report.skipped.items()},
        "refused": refused,
        "results": str(book.folder / f"{suite.name}.parquet"),
        "seconds": seconds,
    }
