"""The full check of a store: every byte read, every rule of its form tried, duplicates across splits counted."""

from pathlib import Path
from typing import Any

import numpy as np

from tmu.data.contents import digests
from tmu.data.info import STORE_FILE, StoreInfo, shard_path, shard_paths
from tmu.data.keys import KEY_DTYPE, buckets_of, from_hex, is_ascending
from tmu.data.records import SPLITS
from tmu.data.shards import ShardTable, read_facts, read_shard
from tmu.errors import DataError

_HINT = "Restore the store with `dvc checkout`, or import it again."


def verify_store(store: Path, info: StoreInfo) -> dict[str, Any]:
    """Check a store and report numbers; `DataError` names the first shard that breaks a rule.

    Rules: known files only, pages' CRCs, key digests, image size, labels and splits in range, rows in order, subjects
    in their bucket, no erased record or subject present, no record twice. Images with equal bytes in different splits
    are counted, not refused: they void a comparison between the splits and nothing else.
    """
    paths = shard_paths(store)
    strangers = {path for path in store.rglob("*") if path.is_file()} - {*paths, store / STORE_FILE}
    if strangers:
        raise DataError(f"{len(strangers)} files in {store} do not belong to the store.", "Move them elsewhere.")
    erased = {key for path in paths for key in read_facts(path).erased}
    erased_keys = np.sort(from_hex(erased))
    keys, contents, splits = [], [np.empty(0, KEY_DTYPE)], [np.empty(0, np.int8)]
    for path in paths:
        shard = read_shard(path)
        _check_shard(store, path, shard, info, erased_keys)
        contents.append(np.frombuffer(b"".join(digests(shard.images)), KEY_DTYPE))
        keys.append(shard.record_keys)
        splits.append(shard.splits)
    every_key = np.concatenate(keys) if keys else np.empty(0)
    if len(np.unique(every_key)) != len(every_key):
        raise DataError("A record is in two shards.", _HINT)
    there = _by_split(np.concatenate(contents), np.concatenate(splits))
    copies, crossing = there.sum(1), (there > 0).sum(1) > 1
    return {
        "shards": len(paths),
        "records": len(every_key),
        "records_by_split": dict(zip(SPLITS, there.sum(0).tolist(), strict=True)),
        "erased": len(erased),
        "duplicate_images": int((copies - 1).sum()),
        "images_in_several_splits": int(crossing.sum()),
        "records_with_image_in_another_split": int(copies[crossing].sum()),
    }


def _by_split(contents: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """How many records of each split hold each picture: int64 (pictures, S)."""
    values, place = np.unique(contents, return_inverse=True)
    cells = np.bincount(place * len(SPLITS) + splits, minlength=len(values) * len(SPLITS))
    return cells.reshape(len(values), len(SPLITS))


def _check_shard(store: Path, path: Path, shard: ShardTable, info: StoreInfo, erased: np.ndarray) -> None:
    rules = {
        "is not where its bucket belongs": path == shard_path(store, shard.bucket) and shard.bucket < info.n_buckets,
        "has images of another size": shard.images.shape[1] == info.image_bytes,
        "has a label or split out of range": _in_range(shard.labels, len(info.classes))
        and _in_range(shard.splits, len(SPLITS)),
        "is out of order or holds a record twice": is_ascending(shard.record_keys),
        "holds a subject of another bucket": bool(
            np.all(buckets_of(shard.subject_keys, info.n_buckets) == shard.bucket)
        ),
        "holds an erased record": not np.isin(shard.record_keys, erased).any(),
        "holds a record of an erased subject": not np.isin(shard.people(), from_hex(shard.erased_subjects)).any(),
        "names a person twice in a record": _each_once(shard),
    }
    for rule, holds in rules.items():
        if not holds:
            raise DataError(f"Shard {path.name} {rule}.", _HINT)


def _each_once(shard: ShardTable) -> bool:
    """Further people ascend by row and key, and none of them is the first one."""
    rows, people = shard.more_rows, shard.more_subjects
    rising = (rows[:-1] < rows[1:]) | ((rows[:-1] == rows[1:]) & (people[:-1] < people[1:]))
    return bool(np.all(rising) and np.all(shard.subject_keys[rows] != people))


def _in_range(values: np.ndarray, end: int) -> bool:
    return bool(np.all((values >= 0) & (values < end)))
