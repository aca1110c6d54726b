"""The numbers of a cell: one row of a forget set under one seed, against the golds of that seed.

Every row of a seed faces the same golds: all but number (seed mod G). That one is the row `second gold`, the noise
floor. The metrics are those of the audit; intervals come from seeds, so that few resamples do.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from bench.densities import density_rows
from bench.runner.cache import load_outputs
from bench.runner.made import Forgotten, Made
from bench.runner.shop import Shop
from tmu.audit.metrics import all_metrics
from tmu.audit.outputs import Outputs, Sets, check_fit
from tmu.audit.view import Case, View

Number = tuple[str, float, str]  # metric, value, unit
RESAMPLES, TIMES = 100, "retrainings"


class Bench:
    """Views of the models of one forget set, each derived once."""

    def __init__(self, labels: dict[str, np.ndarray], forget: Tensor, gone: Tensor, seed: int) -> None:
        forget, gone = forget.numpy(), gone.numpy()
        train, test = labels["train"], labels["test"]
        self.rows, self.seed = {"forget": forget, "retain": ~gone}, seed
        self.sets = Sets({"forget": train[forget], "retain": train[~gone], "test": test})
        self.views: dict[str, View] = {}

    def kept_view(self, made: Made) -> View:
        """The view of a model that many cells are compared with."""
        name = str(made.folder)
        if name not in self.views:
            self.views[name] = self.view(made)
        return self.views[name]

    def view(self, made: Made) -> View:
        """The model's outputs on the three sets."""
        stored = load_outputs(made.folder)
        logits = {part: stored["train"][rows] for part, rows in self.rows.items()} | {"test": stored["test"]}
        outputs = Outputs(logits)
        check_fit(self.sets, outputs, made.folder.parent.name)
        return View(self.sets, outputs, self.seed)

    def numbers(self, made: Made, golds: Iterable[Made], original: Made) -> list[Number]:
        """Every metric that the models allow, and the densities of the confidence on the forget set."""
        view = self.views.get(str(made.folder)) or self.view(made)
        references = tuple(self.kept_view(gold) for gold in golds)
        case = Case(view, references, self.kept_view(original), self.seed, RESAMPLES)
        found = [
            (name, float(each.compute(case).value), each.unit)
            for name, each in all_metrics().items()
            if each.possible(case)
        ]
        return found + density_rows(view.confidence["forget"], "density_forget")

    def mean_numbers(self, golds: list[Made], original: Made) -> list[Number]:
        """The golds' own numbers, averaged: where a method should end."""
        parts = [{name: (value, unit) for name, value, unit in self.numbers(gold, (), original)} for gold in golds]
        return [
            (name, float(np.mean([part[name][0] for part in parts])), unit)
            for name, (_, unit) in parts[0].items()
            if all(name in part for part in parts)
        ]


def benches(shop: Shop, request: Forgotten) -> list[tuple[str, Bench]]:
    """What is measured: all that is gone by now, and, in a stream, this deletion alone (prefix `latest/`) and the first
    ones (`first/`).
    """
    asked = {"": request.gone, "latest/": request.now, "first/": request.first}
    found = {prefix: mask for prefix, mask in asked.items() if mask is not None}
    return [
        (prefix, _bench(shop, mask, request.gone))
        for prefix, mask in found.items()
        if not prefix or not mask.equal(request.gone)
    ]


_LAST: dict[str, Bench] = {}


def _bench(shop: Shop, forget: Tensor, gone: Tensor) -> Bench:
    """The views of a forget set are kept while a process stays with it."""
    key = f"{shop.ground.digest}{Forgotten(forget, gone).key}"
    if key not in _LAST:
        while len(_LAST) > 2:
            del _LAST[next(iter(_LAST))]
        labels = {"train": shop.ground.train.labels.cpu().numpy(), "test": shop.ground.test.labels.cpu().numpy()}
        _LAST[key] = Bench(labels, forget, gone, shop.suite.sample_seed)
    return _LAST[key]


def ratios(alone: float, whole: float, gold: float) -> list[Number]:
    """A method's cost in seconds and in retrainings; `whole` counts what is made once."""
    return [
        ("seconds_alone", alone, "s"),
        ("seconds_whole", whole, "s"),
        ("seconds_ratio_alone", alone / gold, TIMES),
        ("seconds_ratio_whole", whole / gold, TIMES),
    ]


def as_rows(forget: str, method: str, seed: int, seconds: float, numbers: Iterable[Number]) -> list[dict[str, Any]]:
    """Result rows without the columns that the whole run shares."""
    return [
        {
            "forget_set": forget,
            "method": method,
            "seed": seed,
            "metric": metric,
            "value": value,
            "unit": unit,
            "seconds": seconds,
        }
        for metric, value, unit in numbers
    ]
