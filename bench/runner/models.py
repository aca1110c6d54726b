"""The models of a suite, each made once and kept: originals, golds, twins, and unlearned ones."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from bench.runner.engine import clock
from bench.runner.exact import keep_statistics, kept_statistics
from bench.runner.lessons import fit_lessons, known_rows, load_lessons, pool_of, pool_size, with_lessons
from bench.runner.made import Forgotten, Help, Made
from bench.runner.references import references
from bench.runner.shop import Shop
from bench.variants import get_method, needs_lessons, needs_references, needs_twin
from tmu.config import Seeds
from tmu.files import digest_of, write_json
from tmu.twin.features import feature_modules
from tmu.twin.freeze import Tensors, empty, freeze, thaw
from tmu.twin.twin import Twin, build_twin
from tmu.unlearn.problem import Problem


class Workshop(Shop):
    """Makes models, or finds them."""

    def of_row(self, row: str) -> "Workshop":
        """The workshop of a row whose original and golds have a recipe of their own; for any other row this one."""
        own = self.suite.methods[row].train
        return self if own is None else replace(self, suite=self.suite.model_copy(update={"train": own}))

    @property
    def twin_code(self) -> tuple[str, ...]:
        """The modules whose closure is the code of a twin."""
        return (*self.net_code, "tmu.twin.twin", "tmu.twin.freeze", *feature_modules(self.suite.twin.features))

    def original(self, seed: int) -> Made:
        """M_o."""
        return self._trained(None, seed)

    def gold(self, forgotten: Forgotten, number: int) -> Made:
        """M_g: independent of every original and of the other golds."""
        return self._trained(forgotten.gone, 10_000 * (number + 1))

    def _trained(self, without: Tensor | None, seed: int) -> Made:
        gone = [] if without is None else [int(row) for row in without.nonzero()[:, 0]]
        seeds = Seeds.all(seed)
        inputs = self.inputs(self.suite.train, seeds) | {"without": digest_of(gone)}
        key = self.cache.key(inputs, *self.net_code)

        def build(folder: Path, run: dict[str, Any]) -> None:
            net, fit = self.fresh(seed), self.engine(key)
            train = self.ground.train if without is None else self.ground.train.take(~without.to(self.device))
            report = fit(net, train, self.suite.train, seeds)
            run.update(seconds=report.seconds_train, history=report.history, precision=report.precision)
            self.keep(folder, net)
            keep_statistics(folder, report)

        return self.made("trained", key, build)

    def twin(self, seed: int) -> Made:
        """The twin problem of an original. Raises GateError where the hold-out cannot be memorised or learnt from."""
        original = self.original(seed)
        seeds, config = Seeds.all(seed), self.suite.twin
        inputs = self.inputs(config.train, seeds)
        inputs |= {"original": original.key, "twin": config.model_dump(mode="json")}
        key = self.cache.key(inputs, *self.twin_code)

        def build(folder: Path, run: dict[str, Any]) -> None:
            fit, started = self.engine(key), clock(self.device)
            twin, report = build_twin(
                self.net(original),
                lambda index: self.fresh(seed, f"curriculum {index}"),
                self.ground.train,
                self.ground.holdout,
                config,
                seeds,
                fit,
                partial(clock, self.device),
                self.device,
            )
            run.update(seconds=clock(self.device) - started + fit.earlier, quality=report.quality)
            run.update(gate=report.gate.as_json())
            tensors: Tensors = {}
            write_json(folder / "twin.json", freeze(twin, tensors))
            (folder / "twin.safetensors").write_bytes(save(tensors))

        return self.made("twin", key, build)

    def unlearned(self, row: str, seed: int, start: Made, forgotten: Forgotten, given: Help, forget: str = "") -> Made:
        """A method's model, from `start`; `forget`: name of the forget set. Raises what the method raises."""
        name = self.suite.method(row)
        method, options = get_method(name), self.suite.options(row, forget)
        seeds = Seeds.all(seed)
        inputs = self.inputs(self.suite.train, seeds)
        inputs |= {"start": start.key, "forgotten": forgotten.key, "method": name}
        inputs |= {"help": [each.key for each in given.made], "options": options.model_dump(mode="json")}
        key = self.cache.key(inputs, *(self.twin_code if given.twin else self.net_code), method.__name__)

        def build(folder: Path, run: dict[str, Any]) -> None:
            fit = self.engine(key)
            problem, rows = self.problem(name, seeds, start, forgotten, given, fit), known_rows(given)
            lessons, labels = given.lessons and load_lessons(self, given.lessons), self.ground.train.labels.cpu()
            started = clock(self.device)
            outcome = method.unlearn(with_lessons(problem, rows, forgotten, labels, lessons), options)
            run.update(seconds=clock(self.device) - started + fit.earlier, notes=outcome.notes)
            self.keep(folder, outcome.model)
            keep_statistics(folder, outcome.fit)

        return self.made("unlearned", key, build)

    def load_twin(self, made: Made) -> Twin:
        """The twin of a kept one."""
        tree = json.loads((made.folder / "twin.json").read_text())
        return thaw(tree, load_file(made.folder / "twin.safetensors"), lambda: empty(self.build))

    def problem(
        self,
        method: str,
        seeds: Seeds,
        start: Made,
        forgotten: Forgotten,
        given: Help,
        fit: Callable | None = None,
    ) -> Problem:
        """What a method gets, to be unlearned from `start`; of one that works with references, D_r is their pool."""
        train, kept = self.ground.train, ~forgotten.gone
        if needs_references(method):
            kept = pool_of(train.keys.cpu(), kept, seeds, pool_size(self, forgotten, given))
        return Problem(
            model=self.net(start).to(self.device),
            forget=train.take(forgotten.now.to(self.device)),
            retain=train.take(kept.to(self.device)),
            classes=len(self.ground.classes),
            recipe=self.suite.train,
            seeds=seeds,
            fit=fit,
            fresh=lambda: self.fresh(seeds.init),
            twin=self.load_twin(given.twin) if given.twin else None,
            holdout=self.ground.holdout if get_method(method).NEEDS_HOLDOUT else None,
            statistics=kept_statistics(start),
            device=self.device,
        )

    def help(self, row: str, seed: int) -> Help:
        """What the row's method works with, for the original of that seed."""
        method = self.suite.method(row)
        table = references(self, seed) if needs_references(method) else None
        return Help(
            twin=self.twin(seed) if needs_twin(method) else None,
            table=table,
            lessons=fit_lessons(self, seed, self.original(seed), table) if needs_lessons(method) else None,
        )
