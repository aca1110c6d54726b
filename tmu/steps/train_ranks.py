"""Train by several ranks (`compute_ranks`): each opens the data revision and computes its part."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import nn

from tmu.compute.choose import starter_of
from tmu.compute.launch import Launch, run_ranks
from tmu.compute.rank import Seat
from tmu.compute.threads import threads_of
from tmu.config import Config, Params, Seeds, TrainConfig
from tmu.errors import ConfigError, DataError
from tmu.files import digest_of, scratch_folder, write_atomic
from tmu.models.bundle import Arch
from tmu.refs import DataRef, ForgetRef
from tmu.steps.elsewhere import refuse_elsewhere
from tmu.steps.held_records import held_records
from tmu.steps.loading import engine, examples, forget_keys, open_without
from tmu.train import Examples, Fit, fit
from tmu.train.engine import Progress
from tmu.train.lane import pick_device, pick_precision
from tmu.workspace import Workspace

_START, _END, _REPORT = "start.safetensors", "end.safetensors", "fit"


class RankedTraining(Config):
    """The recipe of `params` on a data revision without a forget set, in words that a rank is sent."""

    data: DataRef
    forget: ForgetRef | None = None
    params: Params
    seeds: Seeds


def ranks_of(workspace: Workspace) -> dict[str, int]:
    """For the identity of an original, a gold or a retrained model: the world size, where it is not one.

    Raises ConfigError where the settings contradict each other.
    """
    settings = workspace.settings
    by, several = settings.compute_backend, settings.compute_ranks > 1
    if (by == "local" and several) or (by == "torchrun" and not several):
        raise ConfigError(
            f"`compute_ranks` is {settings.compute_ranks}, and `compute_backend` is `{settings.compute_backend}`.",
            "Several ranks need `torchrun` or `ray`, and `torchrun` several ranks; docs/compute.md.",
        )
    return {"ranks": settings.compute_ranks} if settings.compute_ranks > 1 else {}


def training_engine(
    workspace: Workspace, training: RankedTraining, arch: Arch, identity: dict[str, Any], progress: Progress | None
) -> Callable[..., Fit]:
    """`fit` for this one training: by the ranks that the settings ask for, else in this process."""
    world = ranks_of(workspace).get("ranks", 1)
    if world == 1 or training.params.train.head == "ridge":  # a sum over records, in one pass
        return engine(workspace, identity, progress)
    device = pick_device(workspace.settings.device).type
    name = f"{identity['data'][:32]}-{digest_of(identity)[:32]}-ranks.safetensors"

    def by_ranks(
        model: nn.Module, learned: Examples, config: TrainConfig, seeds: Seeds, *, held: Examples | None = None
    ) -> Fit:
        job = {
            "home": str(workspace.root),
            "training": training.model_dump(mode="json"),
            "arch": arch.as_json(),
            "snapshot": str(workspace.state("snapshots", name)),
            "records": len(learned),
            "held": len(held) if held else 0,
            "precision": pick_precision(config.precision, pick_device(device)),
        }
        launch = Launch(f"{__name__}:train_part", job, world, device, threads_of(workspace))
        with scratch_folder(workspace.state("snapshots"), "ranks") as folder:  # where ranks on other machines see it
            write_atomic(folder / _START, save(dict(model.state_dict())))
            run_ranks(launch, folder, progress or (lambda *_: None), starter_of(workspace.settings))
            model.load_state_dict(load_file(folder / _END))
            with safe_open(folder / _END, framework="pt") as file:
                report = Fit(**json.loads(file.metadata()[_REPORT]))
        model.eval()
        return report

    return by_ranks


def train_part(job: dict[str, Any], seat: Seat, tell: Callable[..., Any]) -> None:
    """In a rank: the whole training, of each batch this rank's part. Rank 0 leaves weights and report."""
    training = RankedTraining.model_validate(job["training"])
    refuse_elsewhere(Path(job["home"]), training.params.train.precision, seat.device.type, job["precision"])
    workspace = Workspace.open(job["home"])
    store, forget = open_without(workspace, training.data, training.forget), training.forget
    without = forget_keys(workspace, forget) if forget else frozenset()
    train = examples(store, "train", without=without)
    held = held_records(store, training.params.train, without) if job["held"] else None
    if (len(train), len(held) if held else 0) != (job["records"], job["held"]):
        raise DataError("A rank found other records than the process that started it.", "Run the same command again.")
    model = Arch.of(job["arch"]).build()
    model.load_state_dict(load_file(seat.folder / _START))
    report = fit(
        model,
        train,
        training.params.train,
        training.seeds,
        held=held,
        device=seat.device,
        threads=seat.threads,
        snapshot=Path(job["snapshot"]),
        snapshot_seconds=workspace.settings.snapshot_seconds,
        progress=lambda done, steps, numbers: tell(done, steps, numbers),
        ranks=seat.ranks,
    )
    if seat.ranks.rank == 0:
        tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        write_atomic(seat.folder / _END, save(tensors, {_REPORT: json.dumps(vars(report))}))
