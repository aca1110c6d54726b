"""What models of a suite are made with: its data, its store, its networks and the engine."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.runner.cache import Cache, load_net, save_net, save_outputs
from bench.runner.engine import Engine
from bench.runner.ground import Ground
from bench.runner.made import Made
from bench.suite import Suite
from tmu.config import Seeds, TrainConfig
from tmu.models import registry
from tmu.models.start import Start, begin
from tmu.steps.starts import read_start
from tmu.train import logits_of
from tmu.train.lane import pick_precision
from tmu.train.order import stream
from tmu.twin.freeze import empty


@dataclass(frozen=True)
class Shop:
    """What the models of a suite are made with. deadline: unix time or None, see `Engine`."""

    suite: Suite
    ground: Ground
    cache: Cache
    device: str
    deadline: float | None = None

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

    def net(self, made: Made) -> nn.Module:
        """The network of a kept model."""
        return load_net(made.folder, self.build)

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

    def made(self, kind: str, key: str, build: Callable[[Path, dict[str, Any]], None]) -> Made:
        """What `build` makes, kept under its kind and key."""
        folder = self.cache.make(kind, key, build)
        self.engine(key).clean()
        return Made(folder, key.partition("-")[0])
