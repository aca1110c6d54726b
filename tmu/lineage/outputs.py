"""Artifacts that hold something of single records: tables, probes, answers, keys in audits, stage folders."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from tmu.data.keys import from_hex, key64
from tmu.errors import DataError, StorageError
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


def answers_with(workspace: Workspace, records: Collection[str], learned: Collection[str]) -> list[Held]:
    """Kept answers on one of the records, or of a model (weights) that learned one; and those that nobody can read."""
    return [
        held
        for held in artifacts(workspace, "answers")
        if held.manifest["identity"].get("model") in learned or _answered(workspace, held, records)
    ]


def _answered(workspace: Workspace, held: Held, records: Collection[str]) -> bool:
    import torch  # not where no answers are kept

    from tmu.steps.model_answers import read_answers

    keys = torch.from_numpy(key64(from_hex(records)))
    with contextlib.suppress(StorageError, DataError):
        return not bool(read_answers(workspace, held).lacks(keys).all())
    return True


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
