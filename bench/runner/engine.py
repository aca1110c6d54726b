"""`fit` for the benchmark: one thread, resumable, and it stops when the time is up.

A task may call it several times. What a stopped run had done is not lost: the running call goes on from its snapshot,
and long calls that were finished are remembered. `earlier` holds the seconds that those took, so that a task's cost is
the same whether it was stopped or not.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from tmu.config import Seeds, TrainConfig
from tmu.files import write_atomic
from tmu.ridge.fit import fit_ridge
from tmu.train import Examples, Fit, fit
from tmu.train.memory_format import arrange

_WORTH_KEEPING = 20.0  # seconds; a shorter call is made again


class TimeIsUp(Exception):
    """The deadline passed while a task ran. Its snapshot stays."""


def clock(device: str) -> float:
    """Seconds of work: of the processor on a CPU, where other processes may share the cores; else of the wall.

    A GPU has then done what it was given.
    """
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


class Engine:
    """Callable like `fit`. folder, key: where and under which name to keep snapshots. deadline: unix time or None."""

    def __init__(
        self, folder: Path, key: str, device: str, deadline: float | None, snapshot_seconds: float = 10.0
    ) -> None:
        self.folder, self.key, self.device, self.deadline = folder, key, device, deadline
        self.snapshot_seconds, self.calls, self.earlier = snapshot_seconds, 0, 0.0

    def __call__(self, model: nn.Module, examples: Examples, config: TrainConfig, seeds: Seeds, **given: Any) -> Fit:
        """Train in place, or solve a ridge head; raises TimeIsUp between two steps when the deadline has passed."""
        if config.head == "ridge":
            return self._solved(model, examples, config)
        path = self.folder / f"{self.key}-{self.calls}"
        self.calls += 1
        remembered = self._remembered(model, path.with_suffix(".done"))
        if remembered:
            self.earlier += remembered.seconds_train
            return remembered
        self.folder.mkdir(parents=True, exist_ok=True)
        own = {"device": self.device, "threads": 1, "progress": self._tick, "snapshot": path.with_suffix(".part")}
        started = clock(self.device)
        report = fit(model, examples, config, seeds, **own | {"snapshot_seconds": self.snapshot_seconds} | given)
        spent = clock(self.device) - started
        before = spent * report.resumed_at / max(1, report.steps - report.resumed_at)
        self.earlier += before
        whole = replace(report, seconds_train=spent + before)
        if whole.seconds_train > _WORTH_KEEPING:
            self._remember(model, whole, path.with_suffix(".done"))
        return whole

    def _solved(self, model: nn.Module, examples: Examples, config: TrainConfig) -> Fit:
        started = clock(self.device)
        report = fit_ridge(model, examples, config, device=self.device, threads=1, progress=self._tick)
        return replace(report, seconds_train=clock(self.device) - started)

    def clean(self) -> None:
        """Remove what was kept for going on."""
        for path in self.folder.glob(f"{self.key}-*"):
            path.unlink(missing_ok=True)

    def _tick(self, *_: Any) -> None:
        if self.deadline is not None and time.time() >= self.deadline:
            raise TimeIsUp

    def _remember(self, model: nn.Module, report: Fit, path: Path) -> None:
        tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        write_atomic(path, save(tensors, {"fit": json.dumps(vars(report))}))

    def _remembered(self, model: nn.Module, path: Path) -> Fit | None:
        if not path.is_file():
            return None
        with safe_open(path, framework="pt") as file:
            report = Fit(**json.loads(file.metadata()["fit"]))
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        arrange(model, self.device).eval()
        return report
