"""How many threads a training has: as many as the setting `threads` says or, with `auto`, as a measurement says.

The number changes the last bits of a training, so it is part of a model's identity, and one number holds for a
workspace: measured at first use on each kind of machine for each architecture, and kept in `.tmu/threads.json`. That
file enters no digest; the number does. Work of which many items run side by side has one thread an item.
"""

import os
import time
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tmu.config import Config, Params
from tmu.files import digest_of, read_json, write_json
from tmu.provenance import hardware, now
from tmu.stores.lock import locked

if TYPE_CHECKING:
    from tmu.data.info import StoreInfo
    from tmu.settings import Settings
    from tmu.workspace import Workspace

AUTO = "auto"
_FILE = "threads.json"
_GAIN = 0.8  # of the time with fewer threads: above it more of them are not worth their cores
_ROUNDS, _STEPS, _SECONDS = 2, 3, 0.1  # of each number: rounds, steps in one, about so long a step
_ENOUGH = 3.0  # seconds after which no round is begun: on a machine that is overloaded threads wait for each other
_FEW = 4  # records by which a step's length is guessed
_KIND = ("machine", "processor", "capability", "cores", "torch")  # of `hardware()`


class Measured(Config):
    """What was chosen, of which numbers of threads: seconds of a step by number."""

    threads: int
    seconds: dict[int, float] = Field(default_factory=dict)
    at: str = ""

    @property
    def sentence(self) -> str:
        """In words."""
        found = ", ".join(f"{count}: {1000 * seconds:.0f} ms a step" for count, seconds in self.seconds.items())
        return f"{self.threads} by measurement" + (f" ({found})" if found else "")


def threads_of(workspace: "Workspace") -> int:
    """Threads of a training that has the machine for itself. Measures where that is asked for and not yet done.

    Raises DataError where it would measure and there are no data, whose shape counts.
    """
    return threads_known(workspace) or _measured(workspace).threads


def threads_known(workspace: "Workspace") -> int | None:
    """`threads_of` for who only looks: None where it would measure."""
    settings = workspace.settings
    if isinstance(settings.threads, int):
        return settings.threads
    from tmu.train.lane import pick_device

    if settings.compute_ranks > 1 or pick_device(settings.device).type != "cpu":
        return 1
    found = recorded(workspace)
    return found.threads if found else None


def threads_apart(settings: "Settings") -> int:
    """Threads of each of many trainings that run side by side: one, where it is not said."""
    return settings.threads if isinstance(settings.threads, int) else 1


def recorded(workspace: "Workspace") -> Measured | None:
    """What was measured on this kind of machine for the workspace's architecture; None before the first use."""
    for path in (workspace.state(_FILE), workspace.root / ".tmu" / _FILE):
        if path.exists():
            found = read_json(path).get(_key(workspace))
            if found is not None:
                return Measured.model_validate(found)
    return None


def keep(workspace: "Workspace", measured: Measured) -> None:
    """Let this number hold from now on: for a replay, which computes as the recorded run did."""
    path = workspace.state(_FILE)
    known = read_json(path) if path.exists() else {}
    write_json(path, known | {_key(workspace): measured.model_dump(mode="json")})


def chosen(seconds: Mapping[int, float]) -> int:
    """The number to take, by seconds of a step with each: more only where they save a fifth or more."""
    best = min(seconds)
    for count in sorted(seconds):
        if seconds[count] <= _GAIN * seconds[best]:
            best = count
    return best


def measured_seconds(params: Params, info: "StoreInfo", counts: list[int]) -> dict[int, float]:
    """Seconds of a training step with each number of threads, at best: random pictures, as many as take about a
    second in all, at most a batch.
    """
    records = _few(params, info)
    return {count: min(found) for count, found in _in_turns(params, info, counts, records).items()}


def _measured(workspace: "Workspace") -> Measured:
    """Measure once, also where several processes ask at the same time: they must agree."""
    from tmu.data.info import read_info

    with locked(workspace.state("threads.lock")):
        found = recorded(workspace)
        if found is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            counts = sorted({1, min(2, cores), cores})
            seconds = measured_seconds(workspace.params, read_info(workspace.data), counts)
            found = Measured(threads=chosen(seconds), seconds=seconds, at=now())
            keep(workspace, found)
    return found


def _key(workspace: "Workspace") -> str:
    """The kind of machine, and the architecture with its precision."""
    here, params = hardware(), workspace.params
    kind = {name: here[name] for name in _KIND}
    model = {"name": params.model.name, "options": params.model.options, "precision": params.train.precision}
    return digest_of(kind | model)


def _few(params: Params, info: "StoreInfo") -> int:
    """Records in a step, so that it takes about `_SECONDS` with one thread; never more than a batch."""
    batch = params.train.batch_size
    first = min(_FEW, batch)
    taken = min(_steps(params, info, 1, first)) / first
    return int(min(batch, max(first, _SECONDS / taken)))


def _in_turns(params: Params, info: "StoreInfo", counts: list[int], records: int) -> dict[int, list[float]]:
    """In turns, so that other work on the machine meets all numbers alike."""
    found: dict[int, list[float]] = {count: [] for count in counts}
    began = time.monotonic()
    for turn in range(_ROUNDS):
        if turn and time.monotonic() - began > _ENOUGH:
            break
        for count in counts if turn % 2 == 0 else reversed(counts):
            found[count] += _steps(params, info, count, records)
    return found


def _steps(params: Params, info: "StoreInfo", threads: int, records: int) -> list[float]:
    """Seconds of some steps of a fresh network of the workspace's architecture, after a first one."""
    import torch

    from tmu.config import Seeds, TrainConfig
    from tmu.models.registry import build
    from tmu.train import Examples, fit

    begun: list[float] = []

    def stepped(*_: Any) -> None:
        begun.append(time.perf_counter())

    many, classes = records * _STEPS, max(2, len(info.classes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(params.model.name, info.shape, classes, params.model.options)
        images = torch.randint(256, (many, *info.shape), dtype=torch.uint8)
    examples = Examples(images=images, labels=torch.arange(many) % classes, keys=torch.arange(many))
    recipe = TrainConfig(epochs=1, batch_size=records, lr=1e-6, precision=params.train.precision)
    fit(model, examples, recipe, Seeds(), threads=threads, after_step=stepped)
    return [after - before for before, after in pairwise(begun)]
