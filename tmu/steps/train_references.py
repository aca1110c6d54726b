"""Train the networks of a table side by side; each leaves its outputs, none its weights."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tmu.compute import side_by_side, workers_for
from tmu.config import Params
from tmu.data.store import RecordStore
from tmu.references.network import Training, learn
from tmu.steps.loading import fresh_model
from tmu.steps.references_table import Table, read_report, write_outputs
from tmu.steps.train_model import arch_of
from tmu.train import fit
from tmu.train.engine import Progress
from tmu.train.lane import exact, pick_device
from tmu.train.order import batch_count
from tmu.workspace import Workspace


@dataclass(frozen=True)
class _Job:
    """One network, in words that can be sent to another process. store, index, state: folders; the rest: settings."""

    store: Path
    index: Path
    state: Path
    network: int
    params: Params
    device: str
    threads: int
    snapshot_seconds: float


def train_references(
    workspace: Workspace, table: Table, state: Path, progress: Progress | None
) -> list[dict[str, Any]]:
    """Train the networks that have not left their outputs in `state` yet; how all trainings went, by network."""
    settings, recipe = workspace.settings, table.params.train
    device, nets = pick_device(settings.device).type, range(table.nets)
    missing = [network for network in nets if read_report(state, network) is None]
    steps = {each: recipe.epochs * batch_count(table.half_size(each), recipe.batch_size) for each in nets}
    done = {network: steps[network] for network in nets if network not in missing}

    def said(network: int, step: int, numbers: dict[str, float]) -> None:
        done[network] = step
        if progress:
            progress(sum(done.values()), sum(steps.values()), numbers)

    jobs = [
        _Job(
            store=table.store.path,
            index=workspace.state("index"),
            state=state,
            network=network,
            params=table.params,
            device=device,
            threads=settings.threads,
            snapshot_seconds=settings.snapshot_seconds,
        )
        for network in missing
    ]
    side_by_side(train_network, jobs, workers_for(len(jobs), settings.threads, device), said)
    return [read_report(state, network) or {} for network in nets]


def train_network(job: _Job, tell: Any) -> None:
    """Train one network and leave its outputs. tell(network, steps done, numbers of the last epoch)."""
    table = Table(RecordStore.open(job.store, cache=job.index), job.params)
    bound = partial(
        fit,
        device=job.device,
        threads=job.threads,
        snapshot=job.state / f"{job.network:02d}.snapshot.safetensors",
        snapshot_seconds=job.snapshot_seconds,
        progress=lambda step, _, numbers: tell(job.network, step, numbers),
    )
    config, params = job.params.references, job.params
    training = Training(params.train, bound, config.inner, params.audit.head_records, job.device)
    with exact(job.threads):
        half, asked, seeds = table.half(job.network), table.asked(), table.seeds(job.network)
        model = fresh_model(arch_of(table.store, params), seeds.init)
        outputs = learn(model, half, asked, seeds, training)
    report = {
        "holdout_accuracy_pct": table.holdout_accuracy_pct(outputs, asked.labels),
        "seconds_train": outputs.report.seconds_train,
        "precision": outputs.report.precision,
        "resumed_at": outputs.report.resumed_at,
    }
    write_outputs(job.state, job.network, outputs, report)
