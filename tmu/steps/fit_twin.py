"""Fit the twin problem of one model on one data revision; every forget set of the two reuses it."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from tmu.config import Params, Seeds, TwinConfig
from tmu.files import digest_of, write_atomic, write_json
from tmu.manifest import digest
from tmu.models.bundle import Arch
from tmu.refs import DataRef, ModelRef, TwinRef
from tmu.steps.loading import engine, examples, fresh_model, load_model, open_store
from tmu.steps.making import identity_of, lane_of, make
from tmu.train.engine import Progress
from tmu.train.lane import pick_device
from tmu.twin.predictor import Predictor
from tmu.twin.target import TargetModel
from tmu.twin.twin import Twin, TwinReport, build_twin
from tmu.workspace import Workspace

ROOMS = ("train", "models", "twin")


def fit_twin(
    workspace: Workspace,
    data: DataRef,
    original: ModelRef,
    params: Params,
    *,
    progress: Progress | None = None,
    out: str | None = None,
) -> TwinRef:
    """Twin model, curriculum nets, predictor and target model, keyed by data revision and original model.

    Raises GateError where the twin does not memorise the hold-out or the hold-out has too few errors to learn from.
    """
    seeds = Seeds.all(params.seed)
    identity = identity_of(
        "twin",
        ROOMS,
        data=data.digest,
        original=original.weights,
        twin=params.twin.model_dump(mode="json"),
        seeds=seeds.model_dump(mode="json"),
        lane=lane_of(workspace, params.twin.train),
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        store = open_store(workspace, data)
        model, arch = load_model(workspace, original)
        twin, report = build_twin(
            model,
            lambda index: fresh_model(arch, seeds.init, f"curriculum {index}"),
            examples(store, "train"),
            examples(store, "holdout"),
            params.twin,
            seeds,
            engine(workspace, digest_of(identity), progress),
            time.perf_counter,
            pick_device(workspace.settings.device),
        )
        _save(folder, twin, report, arch)
        run.update(seconds=report.seconds)

    uri, folder = make(workspace, "twin", identity, build, out)
    return TwinRef(uri=uri, digest=digest(folder))


def twin_report(workspace: Workspace, twin: TwinRef) -> dict[str, Any]:
    """Gate and predictor quality as JSON."""
    return json.loads((workspace.artifacts.fetch(twin.uri, twin.digest) / "report.json").read_text())


def load_twin(workspace: Workspace, ref: TwinRef) -> Twin:
    """The twin behind a reference."""
    folder = workspace.artifacts.fetch(ref.uri, ref.digest)
    raw = json.loads((folder / "twin.json").read_text())
    arch = Arch(**{**raw["arch"], "shape": tuple(raw["arch"]["shape"]), "classes": tuple(raw["arch"]["classes"])})
    nets = [_load_net(folder / name, arch) for name in raw["nets"]]
    fitted = load_file(folder / "predictor.safetensors")
    predictor = Predictor.from_state({name[10:]: value for name, value in fitted.items() if name[:10] == "predictor."})
    targets = TargetModel(fitted["targets.a"], fitted["targets.b"])
    config = TwinConfig.model_validate(raw["config"])
    return Twin(nets[0], nets[1:], predictor, targets, raw["easy_confidence"], tuple(raw["hard_confidence"]), config)


def _save(folder: Path, twin: Twin, report: TwinReport, arch: Arch) -> None:
    names = ["twin.safetensors", *(f"curriculum-{index}.safetensors" for index in range(len(twin.curriculum)))]
    for name, net in zip(names, [twin.model, *twin.curriculum], strict=True):
        tensors = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
        write_atomic(folder / name, save(tensors))
    fitted = {f"predictor.{name}": value for name, value in twin.predictor.state().items()}
    fitted |= {"targets.a": twin.targets.a, "targets.b": twin.targets.b}
    write_atomic(folder / "predictor.safetensors", save({name: value.contiguous() for name, value in fitted.items()}))
    facts = {"arch": asdict(arch), "nets": names, "easy_confidence": twin.easy_confidence}
    facts |= {"hard_confidence": list(twin.hard_confidence)}
    write_json(folder / "twin.json", facts | {"config": twin.config.model_dump(mode="json")})
    write_json(folder / "report.json", {"gate": report.gate.as_json(), "predictor": report.quality})


def _load_net(path: Path, arch: Arch) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        net = arch.build()
    net.load_state_dict(load_file(path))
    return net.eval()
