"""Training of a ridge head on a frozen network, in one pass; and a head from which records are taken away."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tmu.config import TrainConfig
from tmu.errors import DataError
from tmu.models.registry import head_of
from tmu.ridge.features import features_of
from tmu.ridge.solve import Solved, solve
from tmu.ridge.statistics import Statistics, summed
from tmu.train.engine import Fit
from tmu.train.examples import Examples
from tmu.train.lane import exact

Progress = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class RidgeFit(Fit):
    """A fit whose head was solved. statistics: what it was solved from; solved: the head in float64."""

    statistics: Statistics = field(kw_only=True)
    solved: Solved = field(kw_only=True)


def fit_ridge(
    model: nn.Module,
    examples: Examples,
    config: TrainConfig,
    *,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    progress: Progress | None = None,
) -> RidgeFit:
    """Solve the head of `model` in place, on features of the network as it is; it is left in evaluation mode.

    One pass over the examples. Nothing but `config.ridge` is used of the recipe. Raises DataError for an empty set,
    ModelError where the head cannot be solved.
    """
    if len(examples) < 2:
        raise DataError(f"There are {len(examples)} records to train on.", "Training needs at least two.")
    started = time.perf_counter()
    with exact(threads):
        statistics = statistics_of(model, examples, device, progress)
        solved = solve(statistics, config.ridge)
    return _fitted(model, statistics, solved, started)


def without(
    model: nn.Module,
    statistics: Statistics,
    forget: Examples,
    config: TrainConfig,
    *,
    device: torch.device | str = "cpu",
) -> RidgeFit:
    """Solve the head of `model` in place from its statistics without some of its records. Raises as `fit_ridge`."""
    started = time.perf_counter()
    with exact():
        left = statistics - statistics_of(model, forget, device)
        solved = solve(left, config.ridge)
    return _fitted(model, left, solved, started)


def statistics_of(
    model: nn.Module, examples: Examples, device: torch.device | str = "cpu", progress: Progress | None = None
) -> Statistics:
    """The statistics of records, on the features of a network as it is."""
    head = head_of(model)
    found = summed(_told(features_of(model, examples, device), len(examples), progress), head.out_features)
    return Statistics.none(head.in_features, head.out_features) if found is None else found


def _told(
    batches: Iterator[tuple[Tensor, Tensor]], total: int, progress: Progress | None
) -> Iterator[tuple[Tensor, Tensor]]:
    done = 0
    for features, labels in batches:
        yield features, labels
        done += len(labels)
        if progress:
            progress(done, total, {})


def _fitted(model: nn.Module, statistics: Statistics, solved: Solved, started: float) -> RidgeFit:
    solved.put_into(model)
    model.eval()
    history = [{"epoch": 1, "loss": solved.loss}]
    seconds = time.perf_counter() - started
    return RidgeFit(history, 1, seconds, "fp32", statistics=statistics, solved=solved)
