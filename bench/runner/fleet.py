"""The tasks of a fleet: unlearn one model of many, and measure a row of many models against as many golds.

Model i of a method starts from original i, with the twin of original i where the method needs one. The golds 0..N-1 are
what every row faces; the golds N..2N-1 are the row `second gold`: what an honest retraining gets. A row's numbers are
one cell, since they belong to the whole fleet: seed 0, and each with its interval as `METRIC_low` and `METRIC_high`.
"""

from statistics import fmean
from typing import Any

import numpy as np
from torch import Tensor

from bench.runner.cache import read_run
from bench.runner.cells import Bench, Number, as_rows, benches, ratios
from bench.runner.fleet_numbers import Fleets, Side, about, floors, numbers
from bench.runner.jackknife import estimate, half_widths
from bench.runner.made import Made, Result
from bench.runner.masks import forgotten
from bench.runner.models import Workshop
from bench.runner.plan import Task
from bench.suite import CONTROLS
from tmu.audit.outputs import SETS, logit_confidence
from tmu.errors import StorageError, TmuError


def unlearn(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    """Make one model of a method's fleet. A method that refuses is told by the task that measures the fleet."""
    try:
        _model(shop, task, masks, task.number)
    except StorageError:
        raise
    except TmuError:
        return Result()
    return Result()


def measure(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Result:
    """The row's numbers; `refused` where the method did not make every model, or one that gives no finite numbers."""
    try:
        return Result(_rows(shop, task, masks))
    except StorageError:
        raise
    except TmuError as error:
        if task.row in CONTROLS:
            raise
        rows = as_rows(task.cells[0][0], task.row, 0, 0.0, [("refused", 1.0, "")])
        return Result(rows, refused=f"{task}: {error}")


def _rows(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> list[dict[str, Any]]:
    count, request = shop.suite.fleet.models, forgotten(shop, task.forget, masks)
    (_, bench), *_ = benches(shop, request)
    golds = [shop.gold(request, number) for number in range(2 * count)]
    originals = [shop.original(number) for number in range(count)]
    row = [_model(shop, task, masks, number) for number in range(count)]
    fleets = Fleets(*(side_of(bench, made) for made in (row, originals, golds[:count])))
    found = [("fleet_models", float(count), "models"), *with_intervals(fleets, side_of(bench, golds[count:]))]
    seconds = _mean_seconds(row)
    found += _cost(shop, task, seconds, _mean_seconds(golds))
    return as_rows(task.cells[0][0], task.row, 0, seconds, found)


def with_intervals(fleets: Fleets, second: Side) -> list[Number]:
    """Every number of the row with the ends of its 95 % interval, and the floors."""
    widths, records = half_widths(numbers, fleets.cuts()), fleets.row.margins["forget"].shape[1]
    found: list[Number] = []
    for metric, value in numbers(fleets).items():
        unit, span = about(metric)
        shown = estimate(value, widths[metric], records, span)
        found += [(metric, value, unit), (f"{metric}_low", shown.low, unit), (f"{metric}_high", shown.high, unit)]
    return found + [(metric, value, about(metric)[0]) for metric, value in floors(fleets, second).items()]


def side_of(bench: Bench, fleet: list[Made]) -> Side:
    """What a fleet's models give each record."""
    views = [bench.view(made) for made in fleet]
    margins = {
        name: np.stack([logit_confidence(view.outputs.logits[name], view.sets.labels[name]) for view in views])
        for name in SETS
    }
    return Side(margins, {name: np.stack([view.correct[name] for view in views]) for name in SETS})


def _model(shop: Workshop, task: Task, masks: dict[str, Tensor], number: int) -> Made:
    """Model `number` of a row."""
    original, request = shop.original(number), forgotten(shop, task.forget, masks)
    if task.row == "original":
        return original
    if task.row in CONTROLS:
        return shop.gold(request, shop.suite.fleet.models + number)
    return shop.unlearned(task.row, number, original, request, shop.help(task.row, number), task.forget)


def _cost(shop: Workshop, task: Task, alone: float, gold: float) -> list[Number]:
    """Mean seconds of a model; of a method also in retrainings, and with what is made once for an original."""
    if task.row in CONTROLS:
        return [("seconds_alone", alone, "s")]
    count = shop.suite.fleet.models
    helped = [made for number in range(count) for made in shop.help(task.row, number).made]
    once = sum(read_run(made.folder)["seconds"] for made in helped) / count
    return ratios(alone, alone + once, gold)


def _mean_seconds(fleet: list[Made]) -> float:
    return fmean(read_run(made.folder)["seconds"] for made in fleet)
