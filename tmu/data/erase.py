"""Erasing records: a new revision in which the touched shards are rewritten and all other files are the same bytes.

A deletion of records B from a store A gives exactly A without B, plus a tombstone for each key of B, so that a later
import cannot bring them back. Erasing twice, or in two steps, gives the same bytes as erasing once.
"""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tmu.data.digest import Memo, manifest, manifest_digest, md5_file
from tmu.data.index import Index
from tmu.data.info import STORE_FILE, read_info, shard_path, write_info
from tmu.data.keys import sorted_union, to_hex
from tmu.data.records import SPLITS
from tmu.data.shards import StoredShard, read_keys, read_stored, write_shard
from tmu.errors import DataError, RequestError
from tmu.files import link_or_copy, new_folder, read_json, storage_errors, write_json

LISTING = "revision.json"
"""In a folder that holds only the shards that an erasure changes: the MD5s of all files of the whole revision."""


@dataclass(frozen=True)
class Erasure:
    """What an erasure did. Keys are hex and sorted; `digest` is DVC's digest of the new revision."""

    digest: str
    records: tuple[str, ...]
    subjects: tuple[str, ...]
    already_erased: int
    shards_touched: tuple[int, ...]


def erase(
    source: Path,
    destination: Path,
    record_keys: Collection[str],
    *,
    retire: Collection[int] = (),
    cache: Path | None = None,
) -> Erasure:
    """Build at `destination` the revision of the store at `source` without the records.

    retire: classes (positions) that go as a whole (`StoreInfo.retiring`); DataError where one keeps records in train.
    Keys that were erased before count as done; a key that the store never held is a `RequestError` and nothing is
    built. A subject gets a mark in each shard from which the last of their records goes, and is erased when they all
    have it. `source` is not changed.
    """
    index, positions, absent = _found(source, record_keys, cache)
    _refuse_left(index, positions, retire)
    touched = {shard_path(source, bucket) for bucket in np.unique(index.buckets[positions]).tolist()}
    with new_folder(destination) as building:
        _link_tree(source, building, without=touched | ({source / STORE_FILE} if retire else set()))
        _write_changed(source, building, index, positions, retire)
    return _erasure(manifest(destination), index, positions, absent)


def prepare(
    source: Path,
    destination: Path,
    record_keys: Collection[str],
    *,
    retire: Collection[int] = (),
    cache: Path | None = None,
    memo: Memo | None = None,
) -> Erasure:
    """The same, but build only the shards that change and a list of the whole revision, for `apply_in_place`.

    No other shard is read, linked or hashed, as far as `memo` knows its MD5: what it costs does not grow with the data.
    """
    index, positions, absent = _found(source, record_keys, cache)
    _refuse_left(index, positions, retire)
    files = manifest(source, memo)
    with new_folder(destination) as building:
        for path in _write_changed(source, building, index, positions, retire):
            files[path.relative_to(building).as_posix()] = md5_file(path)
        write_json(building / LISTING, files)
    return _erasure(files, index, positions, absent)


def _found(source: Path, record_keys: Collection[str], cache: Path | None) -> tuple[Index, np.ndarray, list[str]]:
    """The index, the positions of the records in it, and those that were erased before."""
    read_info(source)
    index = Index.build(source, cache)
    positions, absent = index.find_records(record_keys)
    unknown = [key for key in absent if not index.is_erased(key)]
    if unknown:
        raise RequestError(
            f"{len(unknown)} of {len(set(record_keys))} records are not in the store.",
            "Check the ids and the secret of the request.",
        )
    return index, positions, absent


def _refuse_left(index: Index, positions: np.ndarray, retire: Collection[int]) -> None:
    stays = np.ones(len(index), bool)
    stays[positions] = False
    if np.any(stays & np.isin(index.labels, list(retire)) & (index.splits == SPLITS.index("train"))):
        raise DataError("A class that is to be retired has other training records.", "Plan the request again.")


def _write_changed(
    source: Path, building: Path, index: Index, positions: np.ndarray, retire: Collection[int]
) -> list[Path]:
    """Write what changes: the touched shards without the records at `positions`, and the names of the classes."""
    written = []
    if retire:
        write_info(building, read_info(source).retiring(retire))
        written.append(building / STORE_FILE)
    for bucket in np.unique(index.buckets[positions]).tolist():
        gone = index.record_keys[positions[index.buckets[positions] == bucket]]
        written.append(shard_path(building, bucket))
        write_shard(written[-1], _without(read_stored(shard_path(source, bucket)), gone))
    return written


def _erasure(files: dict[str, str], index: Index, positions: np.ndarray, absent: list[str]) -> Erasure:
    return Erasure(
        digest=manifest_digest(files),
        records=tuple(index.keys_at(positions)),
        subjects=_ended(index, positions),
        already_erased=len(absent),
        shards_touched=tuple(np.unique(index.buckets[positions]).tolist()),
    )


def _without(shard: StoredShard, gone: np.ndarray) -> StoredShard:
    """The shard without the records `gone` (S16), with tombstones and marks of people who have none left in it."""
    going = np.isin(shard.record_keys, gone)
    left = shard.rows(~going)
    ended = to_hex(np.setdiff1d(shard.people(), left.people()))
    tombstones = {
        "erased": sorted_union(shard.erased, to_hex(gone)),
        "erased_subjects": sorted_union(shard.erased_subjects, ended),
    }
    return replace(left, **tombstones)


def ended_people(index: Index, record_keys: Collection[str]) -> tuple[str, ...]:
    """The people (hex, sorted) of whom the store holds no other records than these."""
    return _ended(index, index.find_records(record_keys)[0])


def _ended(index: Index, positions: np.ndarray) -> tuple[str, ...]:
    """The people (hex, sorted) who have no record left without those at `positions`."""
    people = index.people_at(positions)
    return tuple(key for key in people if np.isin(index.find_subject(key), positions).all())


def _link_tree(source: Path, destination: Path, *, without: Collection[Path]) -> None:
    """Hard-link every file (copy where the file system cannot); the store's files are only ever replaced whole."""
    for path in sorted(source.rglob("*")):
        if path in without or not path.is_file():
            continue
        target = destination / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(path, target)


def apply_in_place(source_revision: Path, data_dir: Path, memo: Memo | None = None) -> list[str]:
    """Make the store at `data_dir` the same as a revision that was erased from it; returns the files replaced.

    source_revision: the whole of it, or what `prepare` built. memo: spares the unchanged files of `data_dir`.

    File by file and each in one step, so that a kill between any two leaves a readable store in which some shards are
    erased and some not yet; running it again completes it, and once more changes nothing. `DataError`, and nothing is
    changed, if the revision does not descend from what is in `data_dir`.
    """
    wanted, present = _wanted(source_revision), manifest(data_dir, memo)
    changed = [name for name, md5 in wanted.items() if present.get(name) != md5]
    _check_descent(source_revision, data_dir, changed, set(present) - set(wanted))
    waiting = data_dir.parent / f".{data_dir.name}.incoming"  # outside: a kill must not leave a stranger inside
    try:
        for name in changed:
            with storage_errors(data_dir / name):
                shutil.copyfile(source_revision / name, waiting)
                with waiting.open("rb+") as file:
                    os.fsync(file.fileno())
                os.replace(waiting, data_dir / name)  # noqa: PTH105  a name of this module, at which tests kill
    finally:
        waiting.unlink(missing_ok=True)
    return changed


def _wanted(source: Path) -> dict[str, str]:
    """MD5 by file of the revision that a folder stands for."""
    if not (source / LISTING).is_file():
        return manifest(source)
    listed = {str(name): str(md5) for name, md5 in read_json(source / LISTING).items()}
    there = {name: md5 for name, md5 in manifest(source).items() if name != LISTING}
    if any(listed.get(name) != md5 for name, md5 in there.items()):
        raise DataError(f"{source} was changed after it was written.", "Delete it and run the deletion again.")
    return listed


def _check_descent(source: Path, data_dir: Path, changed: Collection[str], extra: Collection[str]) -> None:
    """A revision descends if it is of the same import and remembers all that was erased from `data_dir`."""
    known = all((data_dir / name).is_file() and (source / name).is_file() for name in changed)
    if extra or not known or not all(_follows(source / name, data_dir / name) for name in changed):
        raise DataError(
            f"The revision was not erased from what is in {data_dir} now.",
            "Run the deletion again from the current revision.",
        )


def _follows(new: Path, old: Path) -> bool:
    """Whether a file can come from an erasure in the other one."""
    if new.name != STORE_FILE:
        return _remembers(new, old)
    before, after = read_info(old.parent), read_info(new.parent)
    return before.retiring(after.retired) == after


def _remembers(new: Path, old: Path) -> bool:
    """Whether every record of `new` is in `old`, and every tombstone of `old` in `new`."""
    before, after = read_keys(old), read_keys(new)
    return set(before.erased) <= set(after.erased) and bool(np.isin(after.record_keys, before.record_keys).all())
