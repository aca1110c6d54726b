"""The statistics of a ridge head as an artifact of their own: kept beside a model, found by it, checked before use.

They are no part of the model's bundle: a bundle goes to the registry and to whoever serves it, and statistics from
before and after a deletion differ by what the person was. The key is the one of the model that was solved from them.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tmu import manifest
from tmu.config import Params
from tmu.errors import ConfigError, TmuError
from tmu.files import digest_of, read_json, write_atomic
from tmu.provenance import hardware, now
from tmu.refs import ModelRef, StatisticsRef
from tmu.ridge.fit import RidgeFit
from tmu.ridge.solve import solve
from tmu.ridge.statistics import Statistics
from tmu.ridge.stored import NAME, read, to_bytes
from tmu.train import Fit
from tmu.train.lane import pick_device
from tmu.workspace import Workspace

_DECIDES = ("torch", "capability", "gpu", "machine")  # of `hardware()`: the last bits of features
ANEW = "statistics were computed anew"
"""The note in a model's run record, with the reason."""
SAME_HEAD = 1e-6
"""Relative distance between the head that statistics give and the model's, at most: fp32 rounds by less."""


def keep_statistics(workspace: Workspace, identity: dict[str, Any], fit: Fit) -> None:
    """Keep what a ridge head was solved from, before its model is sealed; nothing for any other fit.

    identity: of the model that is being made.
    """
    if not isinstance(fit, RidgeFit):
        return
    run = {"hardware": hardware(), "at": now(), "threads": torch.get_num_threads(), "records": fit.statistics.records}
    with workspace.artifacts.create("statistics", digest_of(identity), identity, run) as folder:
        write_atomic(folder / NAME, to_bytes(fit.statistics))


def find_statistics(workspace: Workspace, model: ModelRef) -> StatisticsRef | None:
    """Those of a model; None where there are none, or not any more. Raises StorageError where the model is gone."""
    identity = manifest.read(workspace.artifacts.fetch(model.uri, model.digest))["identity"]
    key = digest_of(identity)
    folder = workspace.artifacts.find("statistics", key)
    return StatisticsRef(uri=f"statistics/{key}", digest=manifest.digest(folder)) if folder else None


def load_statistics(workspace: Workspace, ref: StatisticsRef) -> Statistics:
    """Raises StorageError where they are gone or changed, DataError where the file holds something else."""
    return read(workspace.artifacts.fetch(ref.uri, ref.digest) / NAME)


def why_anew(workspace: Workspace, model: ModelRef) -> str:
    """A sentence on why a model's statistics were computed anew, where records could not be taken out; else empty."""
    run = read_json(workspace.artifacts.fetch(model.uri, model.digest) / manifest.RUN)
    why = run.get("notes", {}).get(ANEW)
    return f"The statistics were computed anew from the records that stay: {why.rstrip('.')}." if why else ""


def refuse_trained_start(workspace: Workspace, model: ModelRef, params: Params) -> None:
    """Raise ConfigError where a ridge head is to be exact on a network that was trained on the records."""
    identity = manifest.read(workspace.artifacts.fetch(model.uri, model.digest))["identity"]
    recipe = identity.get("train") or identity.get("recipe") or {}
    if params.ridge_head and recipe.get("head") != "ridge":
        raise ConfigError(
            "The model that is to forget was not trained with a ridge head: its network learned the records.",
            "Use `--method retrain`, or train again: `tmu train original --register`.",
        )


def usable(
    workspace: Workspace, ref: StatisticsRef | None, model: nn.Module, counts: Tensor, ridge: float
) -> tuple[Statistics | None, str]:
    """The statistics if records can be taken out of them, else None and why not.

    model: the one that was solved from them. counts: records by class (K,) that they should be of.
    """
    if ref is None:
        return None, "there are none of this model"
    try:
        found = load_statistics(workspace, ref)
        elsewhere = "; ".join(_differences(workspace, ref))
        if elsewhere:
            return None, f"they were computed on another compute environment ({elsewhere})"
        if not torch.equal(found.counts, counts):
            return None, "they are of other records than the data revision has"
        if not solve(found, ridge).distance_to_head(model) <= SAME_HEAD:
            return None, "they are not those that the model's head was solved from"
    except TmuError as error:
        return None, error.what
    return found, ""


def _differences(workspace: Workspace, ref: StatisticsRef) -> Iterator[str]:
    """What could make a record's features others than those that were summed."""
    folder = workspace.artifacts.fetch(ref.uri, ref.digest)
    lane, run = manifest.read(folder)["identity"]["lane"], read_json(folder / manifest.RUN)
    then, here = run["hardware"], hardware()
    device, threads = pick_device(workspace.settings.device).type, torch.get_num_threads()
    pairs = {name: (then.get(name), here.get(name)) for name in _DECIDES}
    pairs |= {"device": (lane["device"], device), "threads": (run["threads"], threads)}
    yield from (f"{name}: {was} then, {now_} now" for name, (was, now_) in pairs.items() if was != now_)
