"""The models of a suite, each made once and kept: originals, golds, twins, and unlearned ones."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from bench.runner.cache import Cache, load_net, save_net, save_outputs
from bench.runner.engine import Engine, clock
from bench.runner.exact import keep_statistics, kept_statistics
from bench.runner.ground import Ground
from bench.runner.lessons import fit_lessons, known_rows, load_lessons, pool_of, pool_size, with_lessons
from bench.runner.made import Forgotten, Help, Made
from bench.runner.references import references
from bench.suite import Suite
from bench.variants import get_method, needs_lessons, needs_references, needs_twin
from tmu.config import Seeds, TrainConfig
from tmu.files import digest_of, write_json
from tmu.models import registry
from tmu.models.start import Start, begin
from tmu.steps.starts import read_start
from tmu.train import logits_of
from tmu.train.lane import pick_precision
from tmu.train.order import stream
from tmu.twin.features import feature_modules
from tmu.twin.freeze import Tensors, empty, freeze, thaw
from tmu.twin.twin import Twin, build_twin
from tmu.unlearn.problem import Problem


@dataclass(frozen=True)
class Workshop:
    """Makes models, or finds them."""

    suite: Suite
    ground: Ground
    cache: Cache
    device: str
    deadline: float | None = None

    def of_row(self, row: str) -> "Workshop":
        """The workshop of a row whose original and golds have a recipe of their own; for any other row this one."""
        own = self.suite.methods[row].train
        return self if own is None else replace(self, suite=self.suite.model_copy(update={"train": own}))

    def build(self) -> nn.Module:
        """A network of the suite's architecture; its weights depend on torch's generator."""
        model, constants = self.suite.model, registry.Constants(**self.suite.model.constants)
        return registry.build(model.name, self.ground.shape, len(self.ground.classes), model.options, constants)

    def fresh(self, seed: int, purpose: str = "init") -> nn.Module:
        """A network before its training; the weights depend on seed, purpose and the suite's start alone."""

        def seeded() -> nn.Module:
            torch.manual_seed(stream(seed, purpose) & (2**63 - 1))
            return self.build()

        network = empty(seeded)
        if self.start is not None:
            begin(network, self.start)
        return network

    @cached_property
    def start(self) -> Start | None:
        """The weights of `model.init`, a path relative to the folder of the call; None without. Raises ModelError."""
        return read_start(Path(self.suite.model.init)) if self.suite.model.init else None

    def engine(self, key: str) -> Engine:
        """`fit` for one task."""
        return Engine(self.cache.root / "snapshots", key, self.device, self.deadline)

    @property
    def net_code(self) -> tuple[str, ...]:
        """The modules whose closure is the code of a trained network."""
        return ("tmu.train", registry.module_of(self.suite.model.name))

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

    def net(self, made: Made) -> nn.Module:
        """The network of a kept model."""
        return load_net(made.folder, self.build)

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

    def inputs(self, recipe: TrainConfig, seeds: Seeds) -> dict[str, Any]:
        """What names a computation of the suite, beside what is its own."""
        lane = [torch.device(self.device).type, pick_precision(recipe.precision, torch.device(self.device))]
        return {
            "data": self.ground.digest,
            "model": self._model,
            "recipe": recipe.model_dump(mode="json"),
            "seeds": seeds.model_dump(mode="json"),
            "lane": lane,
        }

    @property
    def _model(self) -> dict[str, Any]:
        """What determines a fresh network, JSON-ready."""
        sha256 = self.start.sha256 if self.start else None
        return self.suite.model.model_copy(update={"init": None, "init_sha256": sha256}).made_of()

    def keep(self, folder: Path, net: nn.Module) -> None:
        """Weights, and the logits that every metric is derived from."""
        save_net(folder, net)
        sets = {"train": self.ground.train, "holdout": self.ground.holdout, "test": self.ground.test}
        save_outputs(folder, **{name: logits_of(net, part.images, device=self.device) for name, part in sets.items()})

    def help(self, row: str, seed: int) -> Help:
        """What the row's method works with, for the original of that seed."""
        method = self.suite.method(row)
        table = references(self, seed) if needs_references(method) else None
        return Help(
            twin=self.twin(seed) if needs_twin(method) else None,
            table=table,
            lessons=fit_lessons(self, seed, self.original(seed), table) if needs_lessons(method) else None,
        )

    def made(self, kind: str, key: str, build: Callable[[Path, dict[str, Any]], None]) -> Made:
        """What `build` makes, kept under its kind and key."""
        folder = self.cache.make(kind, key, build)
        self.engine(key).clean()
        return Made(folder, key.partition("-")[0])
