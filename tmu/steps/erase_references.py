"""Erase a forget set's rows from the references: the new revision's table, in which only touched shards differ.

All other shards are the same files, by link, with the digests of the old manifest: nothing passes over the table.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tmu import manifest
from tmu.data.info import shard_paths
from tmu.data.keys import KEY_BYTES, from_hex
from tmu.data.records import SPLITS
from tmu.data.shards import read_facts
from tmu.errors import DataError, RequestError, StorageError
from tmu.files import digest_of, write_json
from tmu.provenance import now
from tmu.references.shards import read_shard, shard_name, write_rows
from tmu.refs import DataRef, ForgetRef, ReferencesRef
from tmu.steps.loading import data_folder, data_ref, forget_keys, retired_with
from tmu.steps.making import identity_of
from tmu.steps.read_references import read_info, read_run
from tmu.steps.references_table import INFO
from tmu.stores.artifacts import Held
from tmu.workspace import Workspace

_CARRIED = ("model", "train", "references", "head_records", "seed", "lane")


def erase_references(workspace: Workspace, ref: ReferencesRef, forget: ForgetRef, data_after: DataRef) -> ReferencesRef:
    """The table of `data_after` without the rows of the forget set, of all splits.

    data_after: the revision from which they were erased; its tombstones say which shards are touched. Calling it again
    gives the same table, also after kill -9. The old table stays: unlearning and audit read the forget set's rows from
    it until `drop_tables_of`. Raises DataError where some of the records are not erased in `data_after`, RequestError
    where a class went with them: the networks have an output that models of `data_after` have not.
    """
    if retired_with(workspace, forget):
        raise RequestError("The references have an output for a class that is retired.", "Fit them anew.")
    source, keys = _held(workspace, ref), forget_keys(workspace, forget)
    touched = _touched(data_folder(workspace, data_after), keys)
    if source.manifest["identity"]["data"] == data_after.digest:
        return ref  # they were erased before: it is the table of that revision
    carried = {name: source.manifest["identity"][name] for name in _CARRIED}
    identity = identity_of(
        "erase-references", (__name__,), **carried, data=data_after.digest, before=ref.digest, forget=forget.digest
    )
    key, info = digest_of(identity), read_info(workspace, ref)
    names = [shard_name(bucket) for bucket in touched if bucket in set(info["buckets"])]
    made = _sound(workspace, f"references/{key}", [*names, INFO])
    if made is None:
        run = read_run(workspace, ref) | {"at": now()}
        folder = workspace.artifacts.fetch(ref.uri, ref.digest, names)
        with workspace.artifacts.derive(source, key, identity, run) as building:
            gone = _rewrite(folder, building, names, touched)
            info["erased_records"] += gone + _without_rows(touched, info)
            write_json(building / INFO, info | {"deletions": info["deletions"] + 1})
        made = _sound(workspace, f"references/{key}", [*names, INFO])
        if made is None:
            raise StorageError("The new table of the references cannot be read back.", "Run the same command again.")
    return made


def drop_tables_of(workspace: Workspace, data: DataRef, forget: ForgetRef) -> None:
    """Remove all tables of a revision from which records were erased since, and any older one with rows of theirs.

    The flow of a deletion must call this once its audit is sealed and its verdict is on record (stage `audited`), and
    before the deletion counts as completed: until then a resumed run may have to unlearn or audit again from the rows
    of the forget set, afterwards nothing needs them. It must do so whatever method served the request, also where no
    table follows, such as one with an output less. Calling it again changes nothing. Raises RequestError for the
    revision that lies in the workspace. A folder of a `dvc.yaml` stage is DVC's: the next `dvc repro` replaces it.
    """
    current = data_ref(workspace)
    if current.digest == data.digest:
        raise RequestError("These are the references of the data as they are.", "Erase the records first.")
    keys = forget_keys(workspace, forget)
    names = [shard_name(bucket) for bucket in _touched(workspace.data, keys)]
    for held in workspace.artifacts.manifests("references"):
        revision = held.manifest["identity"]["data"]
        if revision == data.digest or (revision != current.digest and _holds(workspace, held, names, keys)):
            workspace.artifacts.remove(held.uri)


def rows_left(workspace: Workspace, keys: frozenset[str]) -> int:
    """How many rows of erased records any table of the artifact store holds: 0 at the end of their deletion.

    keys: of the records. Only those shards are read from which the data in the workspace say that they were erased.
    """
    tables = workspace.artifacts.manifests("references")
    if not tables:
        return 0
    names = [shard_name(bucket) for bucket in _touched(workspace.data, keys)]
    return sum(_rows(workspace, held, names, keys) for held in tables)


def _holds(workspace: Workspace, held: Held, names: list[str], keys: frozenset[str]) -> bool:
    """Whether a table holds rows of these records; one that cannot be read is taken for such."""
    with suppress(StorageError):
        return _rows(workspace, held, names, keys) > 0
    return True


def _rows(workspace: Workspace, held: Held, names: list[str], keys: frozenset[str]) -> int:
    """The rows of these records in these shards of a table."""
    mine = [name for name in names if name in held.manifest["files"]]
    folder = workspace.artifacts.fetch(held.uri, held.digest, mine)
    shards = (read_shard(folder / name).record_keys.numpy() for name in mine)
    return sum(bytes(key).hex() in keys for shard in shards for key in shard)


def _held(workspace: Workspace, ref: ReferencesRef) -> Held:
    return Held(ref.uri, ref.digest, manifest.read(workspace.artifacts.fetch(ref.uri, ref.digest, [INFO])))


def _touched(store: Path, keys: frozenset[str]) -> dict[int, list[str]]:
    """The buckets from which the records were erased, and which records (hex); from the shards' tombstones alone."""
    facts = (read_facts(path) for path in shard_paths(store))
    touched = {each.bucket: sorted(keys.intersection(each.erased)) for each in facts}
    left = len(keys) - sum(map(len, touched.values()))
    if left:
        raise DataError(
            f"{left} of {len(keys)} records of the forget set are not erased in that data revision.",
            "Erase the data first; the rows of the references go after them.",
        )
    return {bucket: found for bucket, found in touched.items() if found}


def _sound(workspace: Workspace, uri: str, names: list[str]) -> ReferencesRef | None:
    """The table at an address, if it is there and these files of it are what its manifest says."""
    for held in workspace.artifacts.manifests("references"):
        if held.uri == uri:
            with suppress(StorageError):
                workspace.artifacts.fetch(uri, held.digest, names)
                return ReferencesRef(uri=uri, digest=held.digest)
    return None


def _rewrite(folder: Path, building: Path, names: list[str], touched: dict[int, list[str]]) -> int:
    """Write the touched shards without their erased records; how many training records went."""
    train = 0
    for bucket, keys in touched.items():
        if shard_name(bucket) in names:
            before = read_shard(folder / shard_name(bucket))
            after = before.without(_bytes(keys))
            train += _train(before.splits) - _train(after.splits)
            write_rows(building / shard_name(bucket), after)
    return train


def _train(splits: Tensor) -> int:
    return int((splits == SPLITS.index("train")).sum())


def _without_rows(touched: dict[int, list[str]], info: dict[str, Any]) -> int:
    """Erased records of shards that the table leaves out: counted as training records, whatever they were."""
    return sum(len(keys) for bucket, keys in touched.items() if bucket not in info["buckets"])


def _bytes(keys: list[str]) -> Tensor:
    """Hex keys as uint8 (n, 16)."""
    return torch.from_numpy(np.frombuffer(from_hex(keys).tobytes(), np.uint8).reshape(-1, KEY_BYTES).copy())
