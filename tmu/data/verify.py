"""The full check of a store: every byte read, every rule of its form tried, duplicates across splits counted."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tmu.data.cells import LOOK_BYTES
from tmu.data.duplicates import Seen
from tmu.data.info import STORE_FILE, StoreInfo, shard_path, shard_paths
from tmu.data.keys import KEY_DTYPE, buckets_of, from_hex, is_ascending
from tmu.data.pixel_digests import digests
from tmu.data.records import SPLITS
from tmu.data.shards import StoredShard, read_facts, read_stored
from tmu.errors import DataError

_HINT = "Restore the store with `dvc checkout`, or import it again."


def verify_store(store: Path, info: StoreInfo) -> dict[str, Any]:
    """Check a store and report numbers; `DataError` names the first shard that breaks a rule.

    Rules: known files only, pages' CRCs, key digests, image size, labels and splits in range, rows in order, subjects
    in their bucket, no erased record or subject present, no record twice. Images with equal bytes in different splits
    are counted, not refused: they void a comparison between the splits and nothing else. So are near copies
    (`tmu/data/near.py`), of which the likest pairs are named by record key.
    """
    paths = shard_paths(store)
    strangers = {path for path in store.rglob("*") if path.is_file()} - {*paths, store / STORE_FILE}
    if strangers:
        raise DataError(f"{len(strangers)} files in {store} do not belong to the store.", "Move them elsewhere.")
    erased = {key for path in paths for key in read_facts(path).erased}
    erased_keys = np.sort(from_hex(erased))
    jpegs, parts = 0, [_nothing()]
    for path in paths:
        shard = read_stored(path)
        _check_shard(store, path, shard, info, erased_keys)
        jpegs += shard.cells.kept
        parts.append(Seen(shard.record_keys, _decoded(shard), shard.splits, shard.cells.looks(info.shape)))
    seen = Seen(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Seen)))
    if len(np.unique(seen.keys)) != len(seen.keys):
        raise DataError("A record is in two shards.", _HINT)
    counts = np.bincount(seen.splits, minlength=len(SPLITS)).tolist()
    return {
        "shards": len(paths),
        "records": len(seen.keys),
        "records_by_split": dict(zip(SPLITS, counts, strict=True)),
        "erased": len(erased),
        "kept_jpegs": jpegs,
        **seen.equal(),
        **seen.near(),
    }


def _nothing() -> Seen:
    none = np.empty(0, KEY_DTYPE)
    return Seen(none, none, np.empty(0, np.int8), np.empty((0, LOOK_BYTES), np.uint8))


def _check_shard(store: Path, path: Path, shard: StoredShard, info: StoreInfo, erased: np.ndarray) -> None:
    rules = {
        "is not where its bucket belongs": path == shard_path(store, shard.bucket) and shard.bucket < info.n_buckets,
        "has images of another size": shard.cells.shape in (None, info.shape)
        and shard.cells.image_bytes == info.image_bytes,
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


def _decoded(shard: StoredShard) -> np.ndarray:
    """The digests of all pictures (S16), each decoded. Raises DataError where a JPEG gives other pixels than once."""
    return np.array([each for block in shard.cells.blocks(check=True) for each in digests(block)], KEY_DTYPE)


def _each_once(shard: StoredShard) -> bool:
    """Further people ascend by row and key, and none of them is the first one."""
    rows, people = shard.more_rows, shard.more_subjects
    rising = (rows[:-1] < rows[1:]) | ((rows[:-1] == rows[1:]) & (people[:-1] < people[1:]))
    return bool(np.all(rising) and np.all(shard.subject_keys[rows] != people))


def _in_range(values: np.ndarray, end: int) -> bool:
    return bool(np.all((values >= 0) & (values < end)))
