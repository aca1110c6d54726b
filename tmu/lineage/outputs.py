"""Artifacts that hold something of single records: rows of references, probes, keys in audits, stage folders."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from tmu.data.keys import from_hex
from tmu.errors import StorageError
from tmu.lineage.learners import artifacts, stage_folders
from tmu.lineage.revisions import splits_in
from tmu.stores.artifacts import Held
from tmu.workspace import Workspace

_HEAD = 12  # hex digits of a key that audits of an older tmu show
_TEXTS = ("audit.json", "report.html", "forget.json")


def tables_with(workspace: Workspace, shards: Collection[int], records: Collection[str]) -> list[Held]:
    """References that hold rows of the records; one that cannot be read is taken for such. Touched shards are read."""
    wanted, found = from_hex(records), []
    for held in artifacts(workspace, "references"):
        from tmu.references.shards import read_shard, shard_name  # torch: not where there is no table

        names = [shard_name(bucket) for bucket in sorted(shards) if shard_name(bucket) in held.manifest["files"]]
        try:
            folder = workspace.artifacts.fetch(held.uri, held.digest, names)
            keys = [read_shard(folder / name).record_keys.numpy() for name in names]
        except (StorageError, OSError):
            found.append(held)
            continue
        if any(np.isin(np.ascontiguousarray(each).view(wanted.dtype).ravel(), wanted).any() for each in keys):
            found.append(held)
    return found


def probes_of(workspace: Workspace, forget: str) -> list[Held]:
    """Probes of the records of a forget set (digest)."""
    return [held for held in artifacts(workspace, "probes") if held.manifest["identity"].get("forget") == forget]


def naming(workspace: Workspace, kind: str, keys: Collection[str]) -> Iterator[Held]:
    """Artifacts of a kind whose texts name one of the keys, or as much of it as audits of an older tmu show."""
    heads = [key[:_HEAD].encode() for key in keys]
    for held in artifacts(workspace, kind):
        names = [name for name in _TEXTS if name in held.manifest["files"]]
        try:
            folder = workspace.artifacts.fetch(held.uri, held.digest, names)
        except StorageError:
            continue  # damaged: `tmu verify` tells of it
        if any(head in (folder / name).read_bytes() for name in names for head in heads):
            yield held


def stage_data_with(workspace: Workspace, shards: Collection[int], records: Collection[str]) -> list[Path]:
    """Record stores of `dvc.yaml` stages that hold one of the records."""
    stores = (path for path in stage_folders(workspace) if (path / "store.json").is_file())
    return [path for path in stores if splits_in(path, shards, records).all]
