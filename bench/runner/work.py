"""What a process does for one task. Everything it needs comes with the task; what it computes is kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from bench.densities import reliability_rows
from bench.runner import fleet
from bench.runner.cache import Cache, load_outputs, read_run
from bench.runner.cells import as_rows, benches, ratios
from bench.runner.engine import TimeIsUp
from bench.runner.ground import load_ground
from bench.runner.made import Forgotten, Made, Result
from bench.runner.masks import drawn, fitted, forgotten
from bench.runner.models import Workshop
from bench.runner.plan import Task, floor_gold, golds_of, in_stream, step_of
from bench.runner.schedule import Stopped
from bench.suite import Suite
from bench.variants import needs_twin
from tmu.audit.ceiling import predictor_ceiling
from tmu.config import Seeds
from tmu.errors import StorageError, TmuError
from tmu.train.lane import exact
from tmu.unlearn.choose import hard_count
from tmu.unlearn.tmu_soft import predicted_targets

SOFT = "tmu-soft"  # whose targets are scored beside the predictor of `tmu`


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
    """A task and the masks that are known by now."""

    context: Context
    task: Task
    masks: dict[str, Tensor]


def perform(job: Job) -> Result | Stopped:
    """Do a task, in one thread and with deterministic algorithms."""
    context, task = job.context, job.task
    ground = load_ground(context.ground, context.device)
    cache_ = Cache(context.root, context.any_code)
    shop = Workshop(context.suite, ground, cache_, context.device, context.deadline)
    try:
        with exact(1):
            return _KINDS[task.kind](shop, task, job.masks)
    except TimeIsUp:
        return Stopped()


def _original(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    shop.original(task.number)
    return Result()


def _twin(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    shop.twin(task.number)
    return Result()


def _crossfit(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    fitted(shop)
    return Result()


def _forget(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    ready = in_stream(task.forget) or task.forget in masks
    return Result() if ready else Result(mask=drawn(shop, task.forget))


def _gold(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    shop.gold(forgotten(shop, task.forget, masks), task.number)
    return Result()


def _controls(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    request, original, rows = forgotten(shop, task.forget, masks), shop.original(task.number), []
    golds, floor = _golds(shop, task, request)
    of_golds = float(np.mean([_seconds(gold) for gold in golds]))
    for prefix, bench in benches(shop, request):
        for name, made in (("original", original), ("second gold", floor)):
            numbers = _prefixed(prefix, bench.numbers(made, golds, original))
            own = [] if prefix else [("seconds_alone", _seconds(made), "s")]
            rows += as_rows(task.forget, name, task.number, _seconds(made), numbers + own)
        own = [] if prefix else [("seconds_alone", of_golds, "s")]
        means = _prefixed(prefix, bench.mean_numbers(golds, original))
        rows += as_rows(task.forget, "gold", task.number, of_golds, means + own)
    return Result(rows)


def _method(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    request, original = forgotten(shop, task.forget, masks), shop.original(task.number)
    golds, floor = _golds(shop, task, request)
    twin = shop.twin(task.number) if needs_twin(shop.suite.method(task.row)) else None
    try:
        made = _unlearned(shop, task, masks)
        measured = [(prefix, bench.numbers(made, golds, original)) for prefix, bench in benches(shop, request)]
    except StorageError:
        raise
    except TmuError as error:
        rows = as_rows(task.forget, task.row, task.number, 0.0, [("refused", 1.0, "")])
        return Result(rows, refused=f"{task}: {error}")
    alone, share = _seconds(made), shop.suite.stream.deletions if in_stream(task.forget) else 1
    whole = alone + (_seconds(twin) / share if twin else 0.0)  # over a stream one twin serves all deletions
    numbers = [number for prefix, found in measured for number in _prefixed(prefix, found)]
    numbers += ratios(alone, whole, float(np.mean([_seconds(gold) for gold in (*golds, floor)])))
    return Result(as_rows(task.forget, task.row, task.number, alone, numbers))


def _predictor(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    request, made = forgotten(shop, task.forget, masks), shop.twin(task.number)
    golds, _ = _golds(shop, task, request)
    problem = shop.problem(SOFT, Seeds.all(task.number), shop.original(task.number), request, made)
    twin, labels, rows = problem.twin, problem.forget.labels.cpu(), request.now.numpy()
    p_wrong = twin.p_wrong(twin.side(problem.model, problem.forget, problem.retain, shop.device)).cpu().numpy()
    of_truth = predicted_targets(problem).gather(1, labels[:, None])[:, 0].cpu().numpy()
    wrong = np.stack([load_outputs(gold.folder)["train"][rows].argmax(1) != labels.numpy() for gold in golds])
    n_hard = hard_count(labels, twin.predictor.class_error.cpu())
    quality, of_targets = (predictor_ceiling(scores, wrong, n_hard=n_hard) for scores in (p_wrong, 1 - of_truth))
    numbers = {
        "auroc_mean_gold": quality["auroc_mean_gold"],
        "auroc_single_gold": (quality["auroc"] or {}).get("mean"),
        "auroc_targets": (of_targets["auroc"] or {}).get("mean"),
        "auroc_ceiling": (quality["ceiling"] or {}).get("mean"),
        "auroc_on_twin": read_run(made.folder)["quality"]["auroc"],
        "golds_scored": quality["golds"] - quality["skipped"],
    }
    found = [(name, float(value), "") for name, value in numbers.items() if value is not None]
    found += [("seconds_alone", _seconds(made), "s"), *reliability_rows(p_wrong, wrong.mean(axis=0))]
    return Result(as_rows(task.forget, "twin", task.number, _seconds(made), found))


def _golds(shop: Workshop, task: Task, request: Forgotten) -> tuple[list[Made], Made]:
    """The reference golds of a seed, and the one that is its floor."""
    all_golds = [shop.gold(request, number) for number in range(golds_of(shop.suite, task.forget))]
    left_out = floor_gold(shop.suite, task.forget, task.number)
    return [gold for number, gold in enumerate(all_golds) if number != left_out], all_golds[left_out]


def _unlearned(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Made:
    """The task's model; in a stream it starts from the model of the deletion before."""
    start = shop.original(task.number)
    if in_stream(task.forget) and step_of(task.forget) > 1:
        start = _unlearned(shop, Task("method", f"stream/{step_of(task.forget) - 1:02d}", task.row, task.number), masks)
    twin = shop.twin(task.number) if needs_twin(shop.suite.method(task.row)) else None
    return shop.unlearned(task.row, task.number, start, forgotten(shop, task.forget, masks), twin)


def _prefixed(prefix: str, numbers: list) -> list:
    return [(prefix + name, value, unit) for name, value, unit in numbers]


def _seconds(made: Made) -> float:
    return read_run(made.folder)["seconds"]


_KINDS: dict[str, Callable[[Workshop, Task, dict[str, Tensor]], Result]] = {
    "original": _original,
    "twin": _twin,
    "crossfit": _crossfit,
    "forget": _forget,
    "gold": _gold,
    "controls": _controls,
    "method": _method,
    "predictor": _predictor,
    "unlearn": fleet.unlearn,
    "fleet": fleet.measure,
}
