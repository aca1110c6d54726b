"""Start a suite: what is missing, in several processes, until it is done or the time is up."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import results
from bench import suite as suites
from bench.runner import order, plan
from bench.runner.book import Book, known_rows
from bench.runner.ground import ground_file, load_ground
from bench.runner.masks import Masks
from bench.runner.show import Bars
from bench.runner.work import Context, Job, Result, perform
from bench.suite import Suite
from tmu.compute import Backend, Resources, backend_of, resources_of
from tmu.errors import ConfigError
from tmu.settings import load_settings
from tmu.train.lane import pick_device

HOME = Path(__file__).parents[2] / ".bench"


@dataclass(frozen=True)
class Wish:
    """What the caller wants. home: folder of all caches; backend: where the tasks run; None: as the settings
    say (`TMU_COMPUTE_…`).
    """

    suite: Suite
    jobs: int | None = None
    minutes: float | None = None
    only: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    any_code: bool = False
    device: str = "auto"
    home: Path = HOME
    backend: Backend | None = None

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
    report, refused = _run(wish, context, tasks, Run(book, masks, known, data.digest, before, total))
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
    wish: Wish, context: Context, tasks: dict[plan.Task, list[plan.Task]], run: Run
) -> tuple[order.Report[plan.Task], list[str]]:
    refused: list[str] = []
    backend, resources = _backend(wish, context.device)
    with (
        backend.crew(_work, resources, max(1, len(tasks))) as crew,
        Bars(tasks, run.before, run.total, crew.places) as bars,
    ):

        def finished(task: plan.Task, result: Result) -> None:
            if result.mask is not None:
                mask = torch.from_numpy(result.mask)
                run.known[task.forget] = mask
                run.masks.add(wish.suite, task.forget, run.data, mask)
            if result.rows:
                run.book.add(task, result.rows)
            refused.extend([result.refused] if result.refused else [])
            bars.finish(task, result.refused and f"refused: {result.refused}")

        def job(task: plan.Task) -> Job:
            return Job(context, task, {name: mask.numpy() for name, mask in run.known.items() if name == task.forget})

        hooks = order.Hooks(bars.start, finished, bars.tick)
        try:
            report = order.run(tasks, job, crew, deadline=context.deadline, hooks=hooks)
        finally:
            run.book.write()
    return report, refused


def _work(job: Job, tell: Any) -> Any:
    return perform(job)


def _backend(wish: Wish, device: str) -> tuple[Backend, Resources]:
    """Where the tasks run, one thread each; on a GPU one after the other, so that their times are their own."""
    settings = load_settings(wish.home)
    jobs = wish.jobs or settings.compute_workers
    resources = replace(resources_of(settings, device), threads=1)
    if device == "cuda" and settings.compute_backend != "ray":
        jobs = jobs or 1
        resources = replace(resources, gpus=1 / jobs)
    return wish.backend or backend_of(settings, workers=jobs, apart=True), resources


def _measure_again(wish: Wish, book: Book) -> None:
    for row in wish.fresh:
        if row not in known_rows(wish.suite):
            raise ConfigError(f"There is no row `{row}`.", f"Rows: {', '.join(known_rows(wish.suite))}.")
        chosen = {cell for task in plan.matching(plan.measuring(wish.suite), wish.only) for cell in task.cells}
        book.forget(row, chosen.__contains__)


def _summary(
    suite: Suite,
    report: order.Report[plan.Task],
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
