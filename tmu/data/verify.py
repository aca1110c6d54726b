"""The full check of a store: every byte read, every rule of its form tried, duplicates across splits counted."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from tmu.data.info import STORE_FILE, StoreInfo, shard_path, shard_paths
from tmu.data.keys import buckets_of, from_hex, is_ascending
from tmu.data.pixel_digests import digests
from tmu.data.records import SPLITS
from tmu.data.shards import StoredShard, read_facts, read_stored
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
    jpegs = 0
    splits_of_image: dict[bytes, set[int]] = defaultdict(set)
    copies: dict[bytes, int] = defaultdict(int)
    keys, counts = [], np.zeros(len(SPLITS), np.int64)
    for path in paths:
        shard = read_stored(path)
        _check_shard(store, path, shard, info, erased_keys)
        jpegs += shard.cells.kept
        for content, split in zip(_decoded(shard), shard.splits, strict=True):
            splits_of_image[content].add(int(split))
            copies[content] += 1
        keys.append(shard.record_keys)
        counts += np.bincount(shard.splits, minlength=len(SPLITS))
    every_key = np.concatenate(keys) if keys else np.empty(0)
    if len(np.unique(every_key)) != len(every_key):
        raise DataError("A record is in two shards.", _HINT)
    crossing = [content for content, splits in splits_of_image.items() if len(splits) > 1]
    return {
        "shards": len(paths),
        "records": len(every_key),
        "records_by_split": dict(zip(SPLITS, counts.tolist(), strict=True)),
        "erased": len(erased),
        "kept_jpegs": jpegs,
        "duplicate_images": sum(number - 1 for number in copies.values()),
        "images_in_several_splits": len(crossing),
        "records_with_image_in_another_split": sum(copies[content] for content in crossing),
    }


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


def _decoded(shard: StoredShard) -> list[bytes]:
    """The digests of all pictures, each decoded. Raises DataError where a kept JPEG gives other pixels than once."""
    return [each for block in shard.cells.blocks(check=True) for each in digests(block)]


def _each_once(shard: StoredShard) -> bool:
    """Further people ascend by row and key, and none of them is the first one."""
    rows, people = shard.more_rows, shard.more_subjects
    rising = (rows[:-1] < rows[1:]) | ((rows[:-1] == rows[1:]) & (people[:-1] < people[1:]))
    return bool(np.all(rising) and np.all(shard.subject_keys[rows] != people))


def _in_range(values: np.ndarray, end: int) -> bool:
    return bool(np.all((values >= 0) & (values < end)))
