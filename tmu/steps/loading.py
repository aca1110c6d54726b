"""What steps load: data revisions, forget sets and models behind references, as tensors and modules.

Only those who want tensors import torch: who looks at a revision or a forget set does not wait for it.
"""

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tmu.compute.threads import threads_of
from tmu.config import TrainConfig
from tmu.data.decoded import Decoding
from tmu.data.keys import key64
from tmu.data.store import RecordStore
from tmu.errors import DataError, StorageError
from tmu.files import digest_of
from tmu.refs import DataRef, ForgetRef, ModelRef, Ref
from tmu.suppression.shredded_set import shredded_set
from tmu.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

    from tmu.models.bundle import Arch
    from tmu.models.start import Start
    from tmu.train import Examples, Fit
    from tmu.train.engine import Progress
    from tmu.train.source import Pictures

_log = logging.getLogger(__name__)


def data_ref(workspace: Workspace, folder: str | None = None) -> DataRef:
    """The record store as it is now: the workspace's `data/`, or another folder (a `dvc.yaml` output)."""
    from tmu.data.digest import dvc_digest

    path = workspace.root / folder if folder else workspace.data
    if not (path / "store.json").is_file():
        raise DataError(
            f"There is no record store at {path}.", "Run `tmu data import READER` first, or name its folder."
        )
    uri = "data" if path.resolve() == workspace.data.resolve() else f"file:{folder}"
    return DataRef(uri=uri, digest=dvc_digest(path, workspace.md5s if uri == "data" else None))


def data_folder(workspace: Workspace, data: DataRef) -> Path:
    """The local folder of a data revision, taken from DVC's cache where `data/` has moved on."""
    return _present(workspace, data) or workspace.versions.materialise(data.digest)


def open_store(workspace: Workspace, data: DataRef) -> RecordStore:
    """The record store of a revision. Of an older one only those files are read, and hashed, that are asked for."""
    folder, listed = _present(workspace, data), None
    if folder is None:
        folder, listed = workspace.versions.linked(data.digest)
    decoding = Decoding(workspace.state("decoded"), workspace.settings.stream_above_mib << 20)
    cache = workspace.state("index")
    return RecordStore.open(folder, cache=cache, contents=workspace.contents, listed=listed, decoding=decoding)


def _present(workspace: Workspace, data: DataRef) -> Path | None:
    """The folder that a reference names, as long as it holds that revision."""
    from tmu.data.digest import dvc_digest

    path = workspace.root / data.uri.removeprefix("file:")
    memo = workspace.md5s if path == workspace.data else None
    return path if path.is_dir() and dvc_digest(path, memo) == data.digest else None


def open_without(workspace: Workspace, data: DataRef, forget: ForgetRef | None) -> RecordStore:
    """The same, with the classes retired that go with a forget set as a whole. Its records are still there."""
    store = open_store(workspace, data)
    return store.retiring(retired_with(workspace, forget)) if forget else store


def forget_keys(workspace: Workspace, forget: ForgetRef) -> frozenset[str]:
    """The record keys (HMAC) of a forget set, of all splits."""
    return frozenset(_forget(workspace, forget)["records"])


def retired_with(workspace: Workspace, forget: ForgetRef) -> tuple[int, ...]:
    """The classes (positions in the store's) that go with a forget set as a whole."""
    return tuple(_forget(workspace, forget).get("retires", ()))


def _forget(workspace: Workspace, forget: ForgetRef) -> dict[str, Any]:
    try:
        folder = workspace.artifacts.fetch(forget.uri, forget.digest)
    except StorageError:
        shredded = shredded_set(workspace, forget)
        if shredded is None:
            raise
        return shredded
    return dict(json.loads((folder / "forget.json").read_text()))


def examples(
    store: RecordStore, split: str, *, without: frozenset[str] = frozenset(), only: frozenset[str] | None = None
) -> "Examples":
    """Records of one split as tensors, in ascending order of their keys; labels: the outputs of a model of the store.

    Records of a retired class are left out: no output is right for them.
    """
    return examples_at(store, store.positions(split, without=without, only=only))


def examples_at(store: RecordStore, positions: np.ndarray) -> "Examples":
    """The records at positions of the store's index, in that order, as `examples` gives them."""
    import torch

    from tmu.train import Examples

    positions = positions[store.info.outputs[store.index().labels[positions]] >= 0]
    labels = torch.from_numpy(store.info.outputs[store.index().labels[positions]])
    keys = torch.from_numpy(key64(store.index().record_keys[positions]))
    return Examples(pictures_at(store, positions), labels, keys)


def pictures_at(store: RecordStore, positions: np.ndarray) -> "Pictures":
    """The pictures at positions of the index, in that order: a tensor, or in files where the set is large."""
    import torch

    from tmu.train.source import Streamed

    decoded = store.decoded(positions)
    size = f"{len(positions):,} pictures, {len(positions) * store.info.image_bytes / 2**20:,.0f} MiB"
    if decoded is None:
        _log.debug("%s: held in memory.", size)
        return torch.from_numpy(store.at(positions).images)
    _log.info("%s: streamed from .tmu/decoded.", size)
    return Streamed.of(decoded, positions)


def path_of(examples: "Examples") -> str:
    """Which way the pictures came, for the run record: `in memory` or `streamed`. The bytes learned are the same."""
    from tmu.train.source import Streamed

    return "streamed" if isinstance(examples.images, Streamed) else "in memory"


def load_model(workspace: Workspace, model: ModelRef) -> "tuple[nn.Module, Arch]":
    """A bundle's model (evaluation mode, on the CPU) and architecture."""
    from tmu.models.bundle import load_bundle

    module, arch, _ = load_bundle(workspace.artifacts.fetch(model.uri, model.digest))
    return module, arch


def run_record(workspace: Workspace, ref: Ref) -> dict:
    """What an artifact's making took: `run.json`; of one that was purged, what its purge note kept of it."""
    purged = workspace.artifacts.purged.find(ref.uri, ref.digest)
    if purged is not None:
        return purged.run
    return json.loads((workspace.artifacts.fetch(ref.uri, ref.digest) / "run.json").read_text())


def fresh_model(arch: "Arch", seed: int, start: "Start | None", purpose: str = "init") -> "nn.Module":
    """A network before its training; the weights depend on seed, purpose and start alone.

    start: what it begins with (`tmu.steps.starts`), but for a head of other classes; None: with random weights. Raises
    ModelError where the start does not fit.
    """
    import torch

    from tmu.models.start import begin
    from tmu.train.order import stream

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, purpose) & (2**63 - 1))
        model = arch.build()
    if start is not None:
        begin(model, start)
    return model


def engine(workspace: Workspace, identity: dict[str, Any], progress: "Progress | None" = None) -> "Callable[..., Fit]":
    """`fit` bound to the workspace's device, threads and snapshots; each call in a step has a snapshot of its own.

    By a recipe with a ridge head it is `fit_ridge`, which needs no snapshot. identity: of the artifact that is being
    made. The snapshot's name begins with the data revision that it learns.
    """
    from tmu.ridge.fit import fit_ridge
    from tmu.train import fit
    from tmu.train.lane import pick_device

    settings, calls = workspace.settings, iter(range(10**6))
    name = f"{identity['data'][:32]}-{digest_of(identity)[:32]}"
    bound = partial(
        fit,
        device=pick_device(settings.device),
        threads=threads_of(workspace),
        snapshot_seconds=settings.snapshot_seconds,
        progress=progress,
    )

    def trained(model: "nn.Module", records: "Examples", config: TrainConfig, *args: Any, **kwargs: Any) -> "Fit":
        if config.head == "ridge":
            device, threads = pick_device(settings.device), threads_of(workspace)
            return fit_ridge(model, records, config, device=device, threads=threads, progress=progress)
        snapshot = workspace.state("snapshots", f"{name}-{next(calls)}.safetensors")
        return bound(model, records, config, *args, snapshot=snapshot, **kwargs)

    return trained
