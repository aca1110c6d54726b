"""Fit the twin problem of one model on one data revision; every forget set of the two reuses it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from tmu.config import Params, Seeds
from tmu.deletion.journal import Journal
from tmu.files import write_atomic, write_json
from tmu.manifest import digest
from tmu.models.bundle import Arch
from tmu.models.registry import module_of
from tmu.refs import DataRef, ModelRef, TwinRef
from tmu.ridge.refuse import refuse_ridge_head
from tmu.steps.loading import engine, examples, forget_keys, fresh_model, load_model, open_store
from tmu.steps.making import identity_of, lane_of, make
from tmu.steps.starts import start_of
from tmu.steps.suppress import refuse_suppressed
from tmu.train import Fit
from tmu.train.engine import Progress
from tmu.train.lane import pick_device
from tmu.twin.features import feature_modules
from tmu.twin.freeze import empty, freeze, thaw
from tmu.twin.twin import Twin, TwinReport, build_twin
from tmu.workspace import Workspace


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, module_of(params.model.name), *feature_modules(params.twin.features))


def fit_twin(
    workspace: Workspace,
    data: DataRef,
    original: ModelRef,
    params: Params,
    *,
    progress: Progress | None = None,
    out: str | None = None,
) -> TwinRef:
    """Twin model, curriculum nets, predictor, keyed by data revision and original model.

    Raises GateError where the twin does not memorise the hold-out or the hold-out has too few errors to learn from,
    ConfigError for a model with a ridge head, DataError where the data hold a picture that was erased before.
    """
    refuse_ridge_head(params, "a twin")
    identity = identity_of(
        "twin",
        code_of(params),
        data=data.digest,
        original=original.weights,
        twin=params.twin.model_dump(mode="json"),
        **({"start": params.model.init_sha256} if params.model.started else {}),
        seeds=Seeds.all(params.seed).model_dump(mode="json"),
        lane=lane_of(workspace, params.twin.train),
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        twin, report, arch = _fitted(workspace, data, original, params, engine(workspace, identity, progress))
        _save(folder, twin, report, arch)
        run.update(seconds=report.seconds)

    uri, folder = make(workspace, "twin", identity, build, out)
    return TwinRef(uri=uri, digest=digest(folder))


def _fitted(
    workspace: Workspace, data: DataRef, original: ModelRef, params: Params, fit: Callable[..., Fit]
) -> tuple[Twin, TwinReport, Arch]:
    store = open_store(workspace, data)
    refuse_suppressed(workspace, store, _under_way(workspace, data), ("train", "holdout"))
    model, arch = load_model(workspace, original)
    seeds, start = Seeds.all(params.seed), start_of(workspace, params)
    twin, report = build_twin(
        model,
        lambda index: fresh_model(arch, seeds.init, start, f"curriculum {index}"),
        examples(store, "train"),
        examples(store, "holdout"),
        params.twin,
        seeds,
        fit,
        time.perf_counter,
        pick_device(workspace.settings.device),
    )
    return twin, report, arch


def _under_way(workspace: Workspace, data: DataRef) -> frozenset[str]:
    """Records that a deletion of this revision erases: they are listed as erased before its control asks for a twin."""
    unfinished = [each for each in Journal(workspace).unfinished() if each.plan.data == data]
    return frozenset[str]().union(*(forget_keys(workspace, each.forget) for each in unfinished))


def twin_report(workspace: Workspace, twin: TwinRef) -> dict[str, Any]:
    """Gate and predictor quality as JSON."""
    return json.loads((workspace.artifacts.fetch(twin.uri, twin.digest) / "report.json").read_text())


def load_twin(workspace: Workspace, ref: TwinRef) -> Twin:
    """The twin behind a reference."""
    folder = workspace.artifacts.fetch(ref.uri, ref.digest)
    raw = json.loads((folder / "twin.json").read_text())
    arch = Arch.of(raw["arch"])
    return thaw(raw["twin"], load_file(folder / "twin.safetensors"), lambda: empty(arch.build))


def _save(folder: Path, twin: Twin, report: TwinReport, arch: Arch) -> None:
    tensors: dict[str, torch.Tensor] = {}
    write_json(folder / "twin.json", {"arch": arch.as_json(), "twin": freeze(twin, tensors)})
    write_atomic(folder / "twin.safetensors", save(tensors))
    write_json(folder / "report.json", {"gate": report.gate.as_json(), "predictor": report.quality})
