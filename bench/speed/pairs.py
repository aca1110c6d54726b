"""Loops in turns, and the ratio of their times with an interval."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bench.speed.cases import Case
from bench.speed.loops import LOOPS
from tmu.train.predict import logits_of

# two-sided 95 % of Student's t by degrees of freedom
_T = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class Turn:
    """One training. accuracy_pct: on records that it was not trained on; NaN where the case has none."""

    seconds: float
    cpu: float
    accuracy_pct: float


def turns(case: Case, names: Sequence[str], pairs: int) -> dict[str, list[Turn]]:
    """Each loop `pairs` times, in turns, each round by its own seed; a first round of one step is not counted."""
    for name in names:
        LOOPS[name](_short(case), 0)
    found: dict[str, list[Turn]] = {name: [] for name in names}
    for seed in range(pairs):
        for name in names if seed % 2 == 0 else reversed(names):
            found[name].append(_turn(case, name, seed))
    return found


def ratio(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float, float]:
    """How many times as long the first take: geometric mean over the pairs, and its 95 % interval."""
    logs = [math.log(a / b) for a, b in zip(slow, fast, strict=True)]
    mean, n = statistics.fmean(logs), len(logs)
    half = _T[min(n - 1, len(_T) - 1)] * statistics.stdev(logs) / math.sqrt(n) if n > 1 else math.inf
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def _turn(case: Case, name: str, seed: int) -> Turn:
    began, cpu = time.perf_counter(), time.process_time()
    model = LOOPS[name](case, seed)
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    unseen = case.images[case.n_train :]
    if not len(unseen):
        return Turn(seconds, used, math.nan)
    right = logits_of(model, unseen).argmax(1) == case.labels[case.n_train :]
    return Turn(seconds, used, 100 * float(right.float().mean()))


def _short(case: Case) -> Case:
    """One batch of it."""
    from dataclasses import replace

    n = min(case.n_train, case.train.batch_size)
    train = case.train.model_copy(update={"epochs": 1})
    return replace(case, n_train=n, train=train, images=case.images[:n], labels=torch.as_tensor(case.labels[:n]))
