"""Import: a stream of records → a store of shards, with memory for one shard and never for the whole set.

Records are appended to one spill file a bucket as they come, in fixed-length rows, and each bucket is then sorted and
written as a shard. All of it happens in a sibling folder that is moved into place when it is whole.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from tmu.data.info import STORE_FILE, SplitRule, StoreInfo, read_info, shard_path, shard_paths, write_info
from tmu.data.keys import Keys
from tmu.data.readers import Reader
from tmu.data.shards import ShardTable, read_facts, write_shard
from tmu.data.spill import Spill, Tombstones
from tmu.errors import ConfigError, DataError
from tmu.files import new_folder

Progress = Callable[[int, int | None], None]
_REPORT_EVERY = 1000


@dataclass(frozen=True)
class Imported:
    """What an import did. `skipped_erased`: records of the dataset that had been erased and stay so."""

    info: StoreInfo
    records: int
    skipped_erased: int


def import_records(
    reader: Reader,
    destination: Path,
    keys: Keys,
    *,
    dataset: str | None = None,
    n_buckets: int = 64,
    holdout: float = 0.25,
    test: float = 0.25,
    split_seed: int = 0,
    replace: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Build the store of a dataset at `destination`; on any error nothing is left of it.

    A record without a split gets one by its key (`SplitRule`). With `replace`, an existing store gives way, but its
    tombstones are carried over: what was erased does not come back. `progress(done, total)` is called now and then.
    `DataError` names the position of a bad record in the reader's order; `StorageError` on a full or read-only disk.
    """
    info = _describe(reader, keys, dataset or reader.name, n_buckets, holdout, test, split_seed)
    tombstones = _tombstones(destination, info, replace=replace)
    with new_folder(destination) as building:
        spill = Spill(info, keys, tombstones, building / "spill")
        with spill.open():
            for position, record in enumerate(reader.records()):
                spill.add(position, record)
                if progress and position % _REPORT_EVERY == 0:
                    progress(position, reader.count())
        spill.check()
        _write_shards(building, spill, tombstones)
        write_info(building, info)
        shutil.rmtree(spill.folder)
    if progress:
        progress(spill.added + spill.skipped, reader.count())
    return Imported(info, spill.added, spill.skipped)


def _describe(
    reader: Reader, keys: Keys, dataset: str, n_buckets: int, holdout: float, test: float, seed: int
) -> StoreInfo:
    classes = reader.classes()
    if len(classes) < 2:
        raise DataError("The dataset has fewer than two classes.", "A classifier needs two; check the labels.")
    if holdout + test >= 1:
        raise ConfigError(f"holdout {holdout} and test {test} leave nothing to train on.", "Their sum must be below 1.")
    try:
        return StoreInfo(
            reader=reader.name,
            dataset=dataset,
            shape=reader.shape(),
            classes=tuple(classes),
            n_buckets=n_buckets,
            key_id=keys.id,
            simulated=reader.simulated,
            split_rule=SplitRule(holdout=holdout, test=test, seed=seed),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"`{first['loc'][-1]}`: {first['msg']}.", "Choose another value for the import.") from error


def _tombstones(destination: Path, info: StoreInfo, *, replace: bool) -> Tombstones:
    if not (destination / STORE_FILE).exists():
        if destination.exists() and any(destination.iterdir()):
            raise DataError(f"{destination} holds something that is not a store.", "Choose an empty folder.")
        return Tombstones({})
    if not replace:
        raise DataError(f"There is a store at {destination} already.", "Replace it explicitly, or import elsewhere.")
    was = read_info(destination)
    facts = [read_facts(path) for path in shard_paths(destination)]
    by_bucket = {shard.bucket: (shard.erased, shard.erased_subjects) for shard in facts if shard.erased}
    if by_bucket and (was.key_id, was.n_buckets) != (info.key_id, info.n_buckets):
        raise DataError(
            "The store to be replaced remembers erased records under another secret or number of buckets.",
            f"Use its secret and n_buckets={was.n_buckets}, so that they stay erased.",
        )
    return Tombstones(by_bucket)


def _write_shards(building: Path, spill: Spill, tombstones: Tombstones) -> None:
    width = spill.info.image_bytes
    for bucket in range(spill.info.n_buckets):
        path = spill.folder / f"{bucket:02x}"
        erased, erased_subjects = tombstones.by_bucket.get(bucket, ((), ()))
        if not path.exists() and not erased:
            continue
        rows = np.fromfile(path, spill.row) if path.exists() else np.empty(0, spill.row)
        path.unlink(missing_ok=True)
        rows = rows[np.argsort(rows["record"])]
        write_shard(
            shard_path(building, bucket),
            ShardTable(
                bucket=bucket,
                record_keys=rows["record"],
                subject_keys=rows["subject"],
                labels=rows["label"],
                splits=rows["split"],
                images=rows["image"].reshape(len(rows), width),
                erased=erased,
                erased_subjects=erased_subjects,
            ),
        )
