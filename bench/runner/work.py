"""What a process does for one task. Everything it needs comes with the task; what it computes is kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.densities import reliability_rows
from bench.runner import fleet
from bench.runner.cache import Cache, load_outputs, read_run
from bench.runner.cells import as_rows, benches
from bench.runner.deletions import audited_step, chain, costs, seconds_of, unlearned
from bench.runner.engine import TimeIsUp
from bench.runner.exact import recomputed
from bench.runner.ground import load_ground
from bench.runner.lessons import fit_lessons
from bench.runner.made import Forgotten, Help, Made, Result
from bench.runner.masks import drawn, fitted, forgotten
from bench.runner.models import Workshop
from bench.runner.order import Stopped
from bench.runner.plan import Task, floor_gold, golds_of, in_stream
from bench.runner.references import references
from bench.runner.verdicts import verdict
from bench.suite import Suite
from tmu.audit.ceiling import predictor_ceiling
from tmu.config import Seeds
from tmu.errors import StorageError, TmuError
from tmu.train.lane import exact
from tmu.unlearn.choose import hard_count

PREDICTS = "tmu"  # whose predictor is scored


@dataclass(frozen=True)
class Context:
    """What all tasks of a run share."""

    suite: Suite
    ground: Path
    root: Path
    device: str
    deadline: float | None = None
    any_code: bool = False


@dataclass(frozen=True)
class Job:
    """A task and the masks that are known by now: arrays, since a worker is sent no tensors."""

    context: Context
    task: Task
    masks: dict[str, np.ndarray]

    def __str__(self) -> str:
        return str(self.task)


def perform(job: Job) -> Result | Stopped:
    """Do a task, in one thread and with deterministic algorithms."""
    context, task = job.context, job.task
    ground = load_ground(context.ground, context.device)
    cache_ = Cache(context.root, context.any_code)
    shop = Workshop(context.suite, ground, cache_, context.device, context.deadline)
    try:
        with exact(1):
            masks = {name: torch.from_numpy(mask) for name, mask in job.masks.items()}
            return _KINDS[task.kind](shop, task, masks)
    except TimeIsUp:
        return Stopped()


def _original(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    shop.original(task.number)
    return Result()


def _twin(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    shop.twin(task.number)
    return Result()


def _references(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    references(shop, task.number)
    return Result()


def _lessons(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    fit_lessons(shop, task.number, shop.original(task.number), references(shop, task.number))
    return Result()


def _deletion(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    """A model of the stream that later ones start from, audited where it has references. A method that refuses is told
    by the task that measures it.
    """
    try:
        step, given = chain(shop, task, masks)[-1], shop.help(task.row, task.number)
        if given.table is not None:
            audited_step(shop, step, given.table)
    except StorageError:
        raise
    except TmuError:
        return Result()
    return Result()


def _crossfit(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    fitted(shop)
    return Result()


def _forget(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    ready = in_stream(task.forget) or task.forget in masks
    return Result() if ready else Result(mask=drawn(shop, task.forget).numpy())


def _gold(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    shop.gold(forgotten(shop, task.forget, masks), task.number)
    return Result()


def _controls(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    request, original, rows = forgotten(shop, task.forget, masks), shop.original(task.number), []
    golds, floor = _golds(shop, task, request)
    of_golds = float(np.mean([seconds_of(gold) for gold in golds]))
    for prefix, bench in benches(shop, request):
        for name, made in (("original", original), ("second gold", floor)):
            numbers = _prefixed(prefix, bench.numbers(made, golds, original))
            own = [] if prefix else [("seconds_alone", seconds_of(made), "s")]
            rows += as_rows(task.forget, name, task.number, seconds_of(made), numbers + own)
        own = [] if prefix else [("seconds_alone", of_golds, "s")]
        means = _prefixed(prefix, bench.mean_numbers(golds, original))
        rows += as_rows(task.forget, "gold", task.number, of_golds, means + own)
    return Result(rows)


def _method(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    shop = shop.of_row(task.row)
    request, original = forgotten(shop, task.forget, masks), shop.original(task.number)
    golds, floor = _golds(shop, task, request)
    given = shop.help(task.row, task.number)
    try:
        made = unlearned(shop, task, masks)
        measured = [(prefix, bench.numbers(made, golds, original)) for prefix, bench in benches(shop, request)]
    except StorageError:
        raise
    except TmuError as error:
        rows = as_rows(task.forget, task.row, task.number, 0.0, [("refused", 1.0, "")])
        return Result(rows, refused=f"{task}: {error}")
    gold, alone = float(np.mean([seconds_of(each) for each in (*golds, floor)])), seconds_of(made)
    numbers = [number for prefix, found in measured for number in _prefixed(prefix, found)]
    numbers += costs(shop, chain(shop, task, masks), given, gold, in_stream(task.forget))
    numbers += recomputed(shop, request, made, gold)
    return Result(as_rows(task.forget, task.row, task.number, alone, numbers))


def _verdict(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    request = forgotten(shop, task.forget, masks)
    golds = [shop.gold(request, number) for number in range(golds_of(shop.suite, task.forget))]
    return verdict(shop, task, request, golds, lambda row: unlearned(shop, replace(task, row=row), masks))


def _predictor(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    request, made = forgotten(shop, task.forget, masks), shop.twin(task.number)
    golds, _ = _golds(shop, task, request)
    problem = shop.problem(PREDICTS, Seeds.all(task.number), shop.original(task.number), request, Help(made))
    twin, labels, rows = problem.twin, problem.forget.labels.cpu(), request.now.numpy()
    p_wrong = twin.p_wrong(twin.side(problem.model, problem.forget, problem.retain, shop.device)).cpu().numpy()
    wrong = np.stack([load_outputs(gold.folder)["train"][rows].argmax(1) != labels.numpy() for gold in golds])
    n_hard = hard_count(labels, twin.predictor.class_error.cpu())
    quality = predictor_ceiling(p_wrong, wrong, n_hard=n_hard)
    numbers = {
        "auroc_mean_gold": quality["auroc_mean_gold"],
        "auroc_single_gold": (quality["auroc"] or {}).get("mean"),
        "auroc_ceiling": (quality["ceiling"] or {}).get("mean"),
        "auroc_on_twin": read_run(made.folder)["quality"]["auroc"],
        "golds_scored": quality["golds"] - quality["skipped"],
    }
    found = [(name, float(value), "") for name, value in numbers.items() if value is not None]
    found += [("seconds_alone", seconds_of(made), "s"), *reliability_rows(p_wrong, wrong.mean(axis=0))]
    return Result(as_rows(task.forget, "twin", task.number, seconds_of(made), found))


def _golds(shop: Workshop, task: Task, request: Forgotten) -> tuple[list[Made], Made]:
    """The reference golds of a seed, and the one that is its floor."""
    all_golds = [shop.gold(request, number) for number in range(golds_of(shop.suite, task.forget))]
    left_out = floor_gold(shop.suite, task.forget, task.number)
    return [gold for number, gold in enumerate(all_golds) if number != left_out], all_golds[left_out]


def _prefixed(prefix: str, numbers: list) -> list:
    return [(prefix + name, value, unit) for name, value, unit in numbers]


_KINDS: dict[str, Callable[[Workshop, Task, dict[str, Tensor]], Result]] = {
    "original": _original,
    "twin": _twin,
    "references": _references,
    "lessons": _lessons,
    "deletion": _deletion,
    "verdict": _verdict,
    "crossfit": _crossfit,
    "forget": _forget,
    "gold": _gold,
    "controls": _controls,
    "method": _method,
    "predictor": _predictor,
    "unlearn": fleet.unlearn,
    "fleet": fleet.measure,
}
