"""Train the networks of a table side by side; each leaves its outputs, none its weights.

A process takes seconds to start, so that small networks are trained right here, one after the other. Where a network
is trained makes no difference to its bits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tmu.compute import Local, backend_of, resources_of, side_by_side
from tmu.compute.threads import threads_apart
from tmu.config import Params
from tmu.data.decoded import Decoding
from tmu.data.store import RecordStore
from tmu.references.network import Training, learn
from tmu.steps.elsewhere import refuse_elsewhere
from tmu.steps.held_records import held_records
from tmu.steps.loading import fresh_model, path_of
from tmu.steps.references_table import Table, read_report, write_outputs
from tmu.steps.starts import keep_start, read_start
from tmu.steps.train_model import arch_of
from tmu.train import fit
from tmu.train.engine import Progress
from tmu.train.lane import exact, pick_device, pick_precision
from tmu.train.order import batch_count
from tmu.workspace import Workspace

_PATIENCE = 20.0  # seconds of training that are not worth starting processes for


@dataclass(frozen=True)
class _Job:
    """One network, in words that can be sent to another process or machine.

    store, index, state: folders, which a worker of another machine sees under the same paths. decoding: of sets larger
    than memory. start: the file of the weights to begin with. precision: as resolved where the job comes from. The
    rest: settings.
    """

    store: Path
    index: Path
    decoding: Decoding | None
    state: Path
    network: int
    params: Params
    start: Path | None
    device: str
    precision: str
    threads: int
    snapshot_seconds: float

    def __str__(self) -> str:
        return f"network {self.network} of the references"


def train_references(
    workspace: Workspace, table: Table, state: Path, progress: Progress | None
) -> list[dict[str, Any]]:
    """Train the networks that have not left their outputs in `state` yet; how all trainings went, by network."""
    settings, recipe = workspace.settings, table.params.train
    device, nets = pick_device(settings.device).type, range(table.nets)
    start = keep_start(workspace, table.params)
    missing = [network for network in nets if read_report(state, network) is None]
    steps = {each: recipe.epochs * batch_count(table.half_size(each), recipe.batch_size) for each in nets}
    done = {network: steps[network] for network in nets if network not in missing}

    def said(network: int, step: int, numbers: dict[str, float]) -> None:
        done[network] = max(step, done.get(network, 0))  # one that was begun here begins again elsewhere
        if progress:
            progress(sum(done.values()), sum(steps.values()), numbers)

    jobs = [
        _Job(
            store=table.store.path,
            index=workspace.state("index"),
            decoding=table.store.decoding,
            state=state,
            network=network,
            params=table.params,
            start=start,
            device=device,
            precision=pick_precision(recipe.precision, pick_device(device)),
            threads=threads_apart(settings),
            snapshot_seconds=settings.snapshot_seconds,
        )
        for network in missing
    ]
    backend, resources = backend_of(settings), resources_of(settings, device)
    several = isinstance(backend, Local) and backend.places(len(jobs), resources) > 1
    left = _train_here(jobs, steps, said) if several else jobs
    side_by_side(backend, train_network, left, resources, said)
    return [read_report(state, network) or {} for network in nets]


class _Long(Exception):
    """What is left takes longer than starting processes for it."""


def _train_here(jobs: list[_Job], steps: dict[int, int], said: Callable[..., None]) -> list[_Job]:
    """Train networks in this process while the rest is expected to be done within `_PATIENCE`; the jobs left."""
    for number, job in enumerate(jobs):
        left, begun = sum(steps[each.network] for each in jobs[number:]), (0, 0.0)

        def told(network: int, step: int, numbers: dict[str, float]) -> None:
            nonlocal begun
            said(network, step, numbers)
            if not begun[0]:  # the first steps take what is loaded with them
                begun = step, time.monotonic()
                return
            done = step - begun[0]  # none where an epoch ends just after the first report
            if done and (time.monotonic() - begun[1]) / done * (left - step) > _PATIENCE:  # noqa: B023
                raise _Long

        try:
            train_network(job, told)
        except _Long:
            return jobs[number:]
    return []


def train_network(job: _Job, tell: Any) -> None:
    """Train one network and leave its outputs. tell(network, steps done, numbers of the last epoch)."""
    refuse_elsewhere(job.store, job.params.train.precision, job.device, job.precision)
    table = Table(RecordStore.open(job.store, cache=job.index, decoding=job.decoding), job.params)
    bound = partial(
        fit,
        device=job.device,
        threads=job.threads,
        snapshot=job.state / f"{job.network:02d}.snapshot.safetensors",
        snapshot_seconds=job.snapshot_seconds,
        progress=lambda step, _, numbers: tell(job.network, step, numbers),
    )
    config, params = job.params.references, job.params
    held = held_records(table.store, params.train) if params.train.early_stop else None
    training = Training(params.train, bound, config.inner, params.audit.head_records, job.device, held)
    with exact(job.threads):
        half, asked, seeds = table.half(job.network), table.asked(), table.seeds(job.network)
        model = fresh_model(arch_of(table.store, params), seeds.init, read_start(job.start))
        outputs = learn(model, half, asked, seeds, training)
    report = {
        "holdout_accuracy_pct": table.holdout_accuracy_pct(outputs, asked.labels),
        "seconds_train": outputs.report.seconds_train,
        "precision": outputs.report.precision,
        "resumed_at": outputs.report.resumed_at,
        "pictures": path_of(half),
    }
    write_outputs(job.state, job.network, outputs, report)
