"""How every step makes its artifact: key from what goes in, found or built, sealed, referred to."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tmu import manifest
from tmu.compute.threads import threads_apart, threads_known, threads_of
from tmu.config import TrainConfig
from tmu.files import digest_of, new_folder
from tmu.provenance import code_digest, hardware, now
from tmu.train.lane import exact, pick_device, pick_precision
from tmu.workspace import Workspace

Build = Callable[[Path, dict[str, Any]], None]  # (folder to fill, run record to fill)


def identity_of(stage: str, code: tuple[str, ...], **inputs: Any) -> dict[str, Any]:
    """All that determines an artifact: stage, digest of the code that computes it, and the inputs (JSON values).

    code: the step's module, and those that it finds by name at run time; what they import follows.
    """
    return {"stage": stage, "code": code_digest(*code), **inputs}


def lane_of(workspace: Workspace, recipe: TrainConfig) -> dict[str, Any]:
    """What else decides the bits of a training: device, precision as resolved there, number of threads."""
    return _lane(workspace, recipe, threads_of(workspace))


def lane_known(workspace: Workspace, recipe: TrainConfig) -> dict[str, Any]:
    """`lane_of` for who only looks: with one thread where their number is still to be measured."""
    return _lane(workspace, recipe, threads_known(workspace) or 1)


def lane_apart(workspace: Workspace, recipe: TrainConfig) -> dict[str, Any]:
    """`lane_of` for networks of which many are trained side by side: the references."""
    return _lane(workspace, recipe, threads_apart(workspace.settings))


def _lane(workspace: Workspace, recipe: TrainConfig, threads: int) -> dict[str, Any]:
    device = pick_device(workspace.settings.device)
    return {"device": device.type, "precision": pick_precision(recipe.precision, device), "threads": threads}


def make(
    workspace: Workspace, kind: str, identity: dict[str, Any], build: Build, out: str | None = None
) -> tuple[str, Path]:
    """The artifact of `identity`: (uri, local folder). Built only where it is not there yet.

    `out` names a folder relative to the workspace that a `dvc.yaml` stage owns; the artifact is then built there.
    """
    key, run = digest_of(identity), {}
    if out is not None:
        target = workspace.root / out
        with new_folder(target) as folder:
            _timed(workspace, build, folder, run)
            manifest.seal(folder, kind, identity, run)
        return f"file:{out}", target
    found = workspace.artifacts.find(kind, key)
    if found is None:
        with workspace.artifacts.create(kind, key, identity, run) as folder:
            _timed(workspace, build, folder, run)
        found = workspace.artifacts.find(kind, key)
    return f"{kind}/{key}", found


def _timed(workspace: Workspace, build: Build, folder: Path, run: dict[str, Any]) -> None:
    """Build within the workspace's lane: features and audit, too, are bits that depend on the number of threads."""
    started = time.perf_counter()
    with exact(threads_of(workspace)):
        build(folder, run)
    run.update(seconds_total=time.perf_counter() - started, hardware=hardware(), at=now())
