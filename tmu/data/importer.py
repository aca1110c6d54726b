"""Import: a stream of records → a store of shards, with memory for one shard and never for the whole set.

Records are appended to one spill file a bucket as they come, in fixed-length rows, and each bucket is then sorted and
written as a shard. All of it happens in a sibling folder that is moved into place when it is whole.
"""

import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from tmu.data.ids import IdRule
from tmu.data.index import Index
from tmu.data.info import STORE_FILE, SplitRule, StoreInfo, buckets_for, read_info, shard_path, shard_paths, write_info
from tmu.data.keys import KEY_DTYPE, Keys, to_hex
from tmu.data.readers import Reader
from tmu.data.shards import ShardTable, read_facts, write_shard
from tmu.data.spill import Spill, StaysOut, Suppressed, Tombstones, nobody_stays_out
from tmu.errors import ConfigError, DataError
from tmu.files import new_folder

Progress = Callable[[int, int | None], None]
_REPORT_EVERY = 1000
_SHOWN = 10
"""Groups of ids alike that a warning names."""


@dataclass(frozen=True)
class Imported:
    """What an import did. `skipped_erased`: records of the dataset that had been erased and stay so.

    `suppressed`: records left out because their pictures were erased, or look like one (`tmu/steps/suppress.py`).
    `shared`: records with several people. `left_out`, `converted`: what the reader passed over and changed, by kind.
    """

    info: StoreInfo
    records: int
    skipped_erased: int
    suppressed: int = 0
    shared: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    converted: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def import_records(
    reader: Reader,
    destination: Path,
    keys: Keys,
    *,
    dataset: str | None = None,
    n_buckets: int | None = None,
    holdout: float = 0.25,
    test: float = 0.25,
    split_seed: int = 0,
    fold_case: bool = False,
    replace: bool = False,
    suppressed: Suppressed | None = None,
    progress: Progress | None = None,
    stays_out: StaysOut = nobody_stays_out,
) -> Imported:
    """Build the store of a dataset at `destination`; on any error nothing is left of it.

    A record without a split gets one by its key (`SplitRule`). With `replace`, an existing store gives way, but its
    tombstones are carried over: what was erased does not come back. `n_buckets`: None: by size (`buckets_for`).
    `fold_case`: ids of people that differ by letter case alone are one person; it is stored, and look-ups follow it.
    `suppressed`: who must not come back. `stays_out`: which pictures are erased ones that come back.
    `progress(done, total)` is called now and then.
    `DataError` names the position of a bad record in the reader's order; `StorageError` on a full or read-only disk.
    """
    ids = None if reader.simulated else IdRule(fold_case=fold_case)
    info = _describe(reader, keys, ids, dataset or reader.name, n_buckets, holdout, test, split_seed)
    tombstones = _tombstones(destination, info, keys, replace=replace)
    with new_folder(destination) as building:
        spill = Spill(
            info, keys.under(info.id_rule), tombstones, building / "spill", reader.where, suppressed, stays_out
        )
        with spill.open():
            for position, record in enumerate(reader.records()):
                spill.add(position, record)
                if progress and position % _REPORT_EVERY == 0:
                    progress(position, reader.count())
        spill.check()
        alike, places = spill.alike()
        _write_shards(building, spill, tombstones, alike)
        write_info(building, info)
        shutil.rmtree(spill.folder)
    if progress:
        progress(spill.added + spill.skipped + spill.kept_out, reader.count())
    return Imported(
        info,
        records=spill.added,
        skipped_erased=spill.skipped,
        suppressed=spill.kept_out,
        shared=spill.shared,
        left_out=dict(reader.left_out()),
        converted=dict(reader.converted()),
        warnings=tuple(_said_alike(places, reader.where)),
    )


def _said_alike(places: list[list[int]], where: Callable[[int], str]) -> Iterator[str]:
    """A warning where ids differ by case, blanks or width alone. It says where they are, and names nobody."""
    if not places:
        return
    groups = "; ".join(", ".join(map(where, group)) for group in places[:_SHOWN])
    more = f"; and {len(places) - _SHOWN:,} more groups" if len(places) > _SHOWN else ""
    number = "One group of people has ids" if len(places) == 1 else f"{len(places):,} groups of people have ids"
    yield (
        f"{number} that differ only by letter case, blanks or width, and are kept apart ({groups}{more}). "
        "If they are one person, correct the ids, or import with --fold-case where only the letter case differs."
    )


def _describe(
    reader: Reader,
    keys: Keys,
    ids: IdRule | None,
    dataset: str,
    n_buckets: int | None,
    holdout: float,
    test: float,
    seed: int,
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
            n_buckets=buckets_for(reader.count(), math.prod(reader.shape())) if n_buckets is None else n_buckets,
            key_id=keys.id,
            simulated=reader.simulated,
            split_rule=SplitRule(holdout=holdout, test=test, seed=seed),
            ids=ids,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"`{first['loc'][-1]}`: {first['msg']}.", "Choose another value for the import.") from error


def _tombstones(destination: Path, info: StoreInfo, keys: Keys, *, replace: bool) -> Tombstones:
    """Those of the store that gives way, be they under a former secret of `keys`."""
    if not (destination / STORE_FILE).exists():
        if destination.exists() and any(destination.iterdir()):
            raise DataError(f"{destination} holds something that is not a store.", "Choose an empty folder.")
        return Tombstones({})
    if not replace:
        raise DataError(f"There is a store at {destination} already.", "Replace it explicitly, or import elsewhere.")
    was = read_info(destination)
    index = Index.build(destination)
    facts = [read_facts(path) for path in shard_paths(destination)]
    by_bucket = {
        shard.bucket: (shard.erased, tuple(filter(index.is_erased_subject, shard.erased_subjects)))
        for shard in facts
        if shard.erased
    }
    known = {each.id for each in keys.ring}
    if by_bucket and (was.key_id not in known or was.n_buckets != info.n_buckets):
        raise DataError(
            "The store to be replaced remembers erased records under another secret or number of buckets.",
            f"Use its secret and n_buckets={was.n_buckets}, so that they stay erased.",
        )
    if by_bucket and was.id_rule.fold_case != info.id_rule.fold_case:
        raise DataError(
            "The store to be replaced remembers erased people under another rule of letter case.",
            f"Import {'with' if was.id_rule.fold_case else 'without'} --fold-case, so that they stay erased.",
        )
    return Tombstones(by_bucket)


def _write_shards(building: Path, spill: Spill, tombstones: Tombstones, alike: dict[str, str]) -> None:
    width = spill.info.image_bytes
    for bucket in range(spill.info.n_buckets):
        path = spill.folder / f"{bucket:02x}"
        erased, erased_subjects = tombstones.by_bucket.get(bucket, ((), ()))
        if not path.exists() and not erased:
            continue
        rows = np.fromfile(path, spill.row) if path.exists() else np.empty(0, spill.row)
        path.unlink(missing_ok=True)
        rows = rows[np.argsort(rows["record"])]
        shard = ShardTable(
            bucket=bucket,
            record_keys=rows["record"],
            subject_keys=rows["subject"],
            labels=rows["label"],
            splits=rows["split"],
            images=rows["image"].reshape(len(rows), width),
            erased=erased,
            erased_subjects=erased_subjects,
            **_further(rows["record"], bytes(spill.more[bucket])),
        )
        there = {key: alike[key] for key in to_hex(shard.people()) if key in alike} if alike else {}
        write_shard(shard_path(building, bucket), dataclasses.replace(shard, alike=there))


def _further(record_keys: np.ndarray, spilled: bytes) -> dict[str, np.ndarray]:
    """Further people of a bucket's records, by row and key; record_keys: ascending."""
    pairs = np.frombuffer(spilled, [("record", KEY_DTYPE), ("subject", KEY_DTYPE)])
    pairs = np.sort(pairs, order=("record", "subject"))
    rows = np.searchsorted(record_keys, pairs["record"]).astype(np.int32)
    return {"more_rows": rows, "more_subjects": np.ascontiguousarray(pairs["subject"])}
