"""Train several golds side by side, where that is worth the start of processes, or on a Ray cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmu.compute import Local, backend_of, resources_of, side_by_side
from tmu.compute.crew import Tell
from tmu.compute.threads import threads_of
from tmu.data.records import SPLITS
from tmu.refs import ModelRef
from tmu.steps.cases import GoldsCase
from tmu.steps.elsewhere import refuse_elsewhere
from tmu.steps.history import History
from tmu.steps.loading import open_store
from tmu.steps.train_model import gold_is_made, train_gold
from tmu.train.engine import Progress
from tmu.train.lane import pick_device, pick_precision
from tmu.workspace import Workspace

_PATIENCE = 20.0  # seconds of training that are not worth starting processes for


@dataclass(frozen=True)
class _Job:
    """One gold. home: the workspace, which a worker sees under the same path. settings: those that decide the bits."""

    home: Path
    case: GoldsCase
    run: int
    precision: str
    settings: dict[str, Any]

    def __str__(self) -> str:
        return f"gold {self.run}"


def train_golds(workspace: Workspace, case: GoldsCase, *, progress: Progress | None = None) -> list[ModelRef]:
    """The golds of a case, in its order; those that are made already are found."""
    jobs, done = _jobs(workspace, case), dict[int, tuple[int, int]]()

    def said(run: int, step: int, steps: int, numbers: dict[str, float]) -> None:
        done[run] = (step, steps)
        if progress:
            progress(sum(each for each, _ in done.values()), steps * len(jobs), numbers)

    if _worth_it(workspace, case, len(jobs)):
        settings, device = workspace.settings, pick_device(workspace.settings.device).type
        resources = resources_of(settings, device, threads_of(workspace))
        side_by_side(backend_of(settings), _train, jobs, resources, said)
        jobs = []
    left = {job.run for job in jobs}

    def one(run: int) -> ModelRef:
        heard: Progress = lambda step, steps, numbers: said(run, step, steps, numbers)  # noqa: E731
        told = heard if run in left else None
        return train_gold(workspace, case.data, case.forget, case.params, run=run, progress=told)

    return [one(run) for run in case.runs]


def _jobs(workspace: Workspace, case: GoldsCase) -> list[_Job]:
    settings, data, forget, params = workspace.settings, case.data, case.forget, case.params
    decide = {
        "device": settings.device,
        "threads": threads_of(workspace),
        "snapshot_seconds": settings.snapshot_seconds,
    }
    precision = pick_precision(params.train.precision, pick_device(settings.device))
    missing = [run for run in case.runs if not gold_is_made(workspace, data, forget, params, run)]
    return [_Job(workspace.root, case, run, precision, decide) for run in missing]


def _worth_it(workspace: Workspace, case: GoldsCase, missing: int) -> bool:
    """Whether several golds are missing, this machine carries several at once, and they take long enough."""
    settings = workspace.settings
    if missing < 2 or settings.compute_ranks > 1:
        return False
    backend, device = backend_of(settings), pick_device(settings.device).type
    if not isinstance(backend, Local):
        return True
    visit = History(workspace, case.params).seconds_per_visit()
    records = int((open_store(workspace, case.data).index().splits == SPLITS.index("train")).sum())
    seconds = None if visit is None else visit * records * case.params.train.epochs * missing
    places = backend.places(missing, resources_of(settings, device, threads_of(workspace)))
    return places > 1 and (seconds is None or seconds > _PATIENCE)


def _train(job: _Job, tell: Tell) -> None:
    """In a worker: one gold, which the artifact store of the workspace then holds."""
    case, asked = job.case, job.case.params.train.precision
    refuse_elsewhere(job.home, asked, job.settings["device"], job.precision)
    alone = {"compute_backend": "local", "compute_ranks": 1}
    place = Workspace.open(job.home)
    workspace = Workspace(place.root, place.settings.model_copy(update=job.settings | alone))
    train_gold(
        workspace,
        case.data,
        case.forget,
        case.params,
        run=job.run,
        progress=lambda step, steps, numbers: tell(job.run, step, steps, numbers),
    )
