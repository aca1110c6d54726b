"""Import: a stream of records → a store of shards, with memory for one shard and never for the whole set.

Records are appended to one spill file a bucket as they come, and each bucket is then sorted and written as a shard. All
of it happens in a sibling folder that is moved into place when it is whole.
"""

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from tmu.data.cells import Cells
from tmu.data.class_names import refuse_names
from tmu.data.ids import IdRule
from tmu.data.info import STORE_FILE, SplitRule, StoreInfo, buckets_for, read_info, shard_path, write_info
from tmu.data.jpeg import decoder
from tmu.data.keys import KEY_DTYPE, Keys, to_hex
from tmu.data.readers import Reader
from tmu.data.readers.sizes import said_sizes
from tmu.data.records import SPLITS
from tmu.data.remembered import Tombstones, remembered
from tmu.data.shards import StoredShard, write_shard
from tmu.data.spill import Spill, Spilled, StaysOut, Suppressed, nobody_stays_out
from tmu.errors import ConfigError, DataError
from tmu.files import new_folder

Progress = Callable[[int, int | None], None]
_REPORT_EVERY = 1000
_SHOWN = 10
"""Groups of ids alike that a warning names."""


@dataclass(frozen=True)
class Imported:
    """What an import did, or would do. `skipped_erased`: records of the dataset that had been erased and stay so.

    `suppressed`: records left out because their pictures were erased, or look like one (`tmu/steps/suppress.py`).
    `shared`: records with several people. `jpegs`: records stored as the JPEG that came. `drawn`: records whose split
    the shares drew. `splits`: records and classes of each split. `left_out`, `converted`: what the reader passed over
    and changed, by kind. `sizes`: how many pictures came in which size, in words.
    """

    info: StoreInfo
    records: int
    skipped_erased: int
    suppressed: int = 0
    shared: int = 0
    jpegs: int = 0
    drawn: int = 0
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    sizes: str = ""
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
    holdout: float | None = None,
    test: float | None = None,
    split_seed: int | None = None,
    split_by: Literal["record", "subject"] | None = None,
    fold_case: bool = False,
    replace: bool = False,
    dry_run: bool = False,
    suppressed: Suppressed | None = None,
    progress: Progress | None = None,
    stays_out: StaysOut = nobody_stays_out,
) -> Imported:
    """Build the store of a dataset at `destination`; on any error nothing is left of it.

    A record without a split gets one by its key, or its person's (`SplitRule`). What is not said of the splits is as in
    the store that is replaced; else as the reader has it. `dry_run`: read and check all of it,
    and write nothing. With `replace`, an existing store gives way, but its tombstones are carried over: what was erased
    does not come back. `n_buckets`: None: by size (`buckets_for`). `fold_case`: ids of people that differ by letter
    case alone are one person; it is stored, and look-ups follow it. `suppressed`: who must not come back. `stays_out`:
    which pictures are erased ones that come back. `progress(done, total)` is called now and then.
    `DataError` names the position of a bad record in the reader's order; `StorageError` on a full or read-only disk.
    """
    ids = None if reader.simulated else IdRule(fold_case=fold_case)
    given = {"holdout": holdout, "test": test, "seed": split_seed, "by": split_by}
    rule = _rule(reader, destination, {name: value for name, value in given.items() if value is not None})
    info = _describe(reader, keys, ids, dataset or reader.name, n_buckets, rule)
    tombstones = remembered(destination, info, keys, replace=replace)
    with contextlib.ExitStack() as stack:
        building = None if dry_run else stack.enter_context(new_folder(destination))
        folder = building and building / "spill"
        spill = Spill(info, keys.under(info.id_rule), tombstones, folder, reader.where, suppressed, stays_out)
        _read(reader, spill, progress)
        alike, places = spill.alike()
        if building is not None and folder is not None:
            _write_shards(building, spill, tombstones, alike)
            write_info(building, info.model_copy(update={"decoder": decoder() if spill.jpegs else None}))
            shutil.rmtree(folder)
    if progress:
        progress(spill.added + spill.skipped + spill.kept_out, reader.count())
    return _counted(reader, spill, places)


def _read(reader: Reader, spill: Spill, progress: Progress | None) -> None:
    """All records into the spill, which checks them at the end as a whole."""
    with spill.open():
        for position, record in enumerate(reader.records()):
            spill.add(position, record)
            if progress and position % _REPORT_EVERY == 0:
                progress(position, reader.count())
    spill.check()


def _counted(reader: Reader, spill: Spill, places: list[list[int]]) -> Imported:
    """places: groups of records whose people's ids are nearly the same."""
    return Imported(
        spill.info,
        records=spill.added,
        skipped_erased=spill.skipped,
        suppressed=spill.kept_out,
        shared=spill.shared,
        jpegs=spill.jpegs,
        drawn=spill.drawn,
        splits=_split_table(spill),
        sizes=said_sizes(reader.sizes()),
        left_out=dict(reader.left_out()),
        converted=dict(reader.converted()),
        warnings=tuple(_said_alike(places, reader.where)),
    )


def _split_table(spill: Spill) -> dict[str, dict[str, int]]:
    """Records and classes by split; people, too, where nothing was written."""
    table = {
        split: {"records": int(by_class.sum()), "classes": int(np.count_nonzero(by_class))}
        for split, by_class in zip(SPLITS, spill.by_split, strict=True)
    }
    if spill.folder is None:
        table = {
            split: {"records": table[split]["records"], "people": len(people), "classes": table[split]["classes"]}
            for split, people in zip(SPLITS, spill.people_by_split, strict=True)
        }
    return table


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
    rule: SplitRule,
) -> StoreInfo:
    classes = reader.classes()
    if len(classes) < 2:
        raise DataError("The dataset has fewer than two classes.", "A classifier needs two; check the labels.")
    refuse_names(classes)
    with _bad_values():
        return StoreInfo(
            reader=reader.name,
            dataset=dataset,
            shape=reader.shape(),
            classes=tuple(classes),
            n_buckets=buckets_for(reader.count(), math.prod(reader.shape())) if n_buckets is None else n_buckets,
            key_id=keys.id,
            simulated=reader.simulated,
            split_rule=rule,
            ids=ids,
        )


def _rule(reader: Reader, destination: Path, given: dict[str, float | str]) -> SplitRule:
    """The rule of the store that gives way at `destination`, else the reader's, changed by what is `given`."""
    there = (destination / STORE_FILE).exists()
    known = read_info(destination).split_rule if there else reader.split_rule
    with _bad_values():
        rule = SplitRule.model_validate(dict(known) | given)
    if rule.holdout + rule.test >= 1:
        raise ConfigError(
            f"holdout {rule.holdout} and test {rule.test} leave nothing to train on.", "Their sum must be below 1."
        )
    return rule


@contextlib.contextmanager
def _bad_values() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"`{first['loc'][-1]}`: {first['msg']}.", "Choose another value for the import.") from error


def _write_shards(building: Path, spill: Spill, tombstones: Tombstones, alike: dict[str, str]) -> None:
    for bucket in range(spill.info.n_buckets):
        _write_shard(building, spill, bucket, tombstones, alike)


def _write_shard(building: Path, spill: Spill, bucket: int, tombstones: Tombstones, alike: dict[str, str]) -> None:
    """One of them, if there is anything to write; at its end its pictures are no longer held."""
    erased, erased_subjects = tombstones.by_bucket.get(bucket, ((), ()))
    rows = spill.bucket(bucket)
    if not rows.cells and not erased:
        return
    shard = StoredShard(
        bucket=bucket,
        record_keys=rows.record_keys,
        subject_keys=rows.subject_keys,
        labels=rows.labels,
        splits=rows.splits,
        cells=_cells(rows, spill.info),
        erased=erased,
        erased_subjects=erased_subjects,
        **_further(rows.record_keys, bytes(spill.more[bucket])),
    )
    there = {key: alike[key] for key in to_hex(shard.people()) if key in alike} if alike else {}
    write_shard(shard_path(building, bucket), dataclasses.replace(shard, alike=there))


def _cells(rows: Spilled, info: StoreInfo) -> Cells:
    if any(len(cell) < info.image_bytes for cell in rows.cells):
        return Cells.of_mixed(rows.cells, info.shape)
    return Cells.of_pixels(np.frombuffer(b"".join(rows.cells), np.uint8).reshape(-1, info.image_bytes))


def _further(record_keys: np.ndarray, spilled: bytes) -> dict[str, np.ndarray]:
    """Further people of a bucket's records, by row and key; record_keys: ascending."""
    pairs = np.frombuffer(spilled, [("record", KEY_DTYPE), ("subject", KEY_DTYPE)])
    pairs = np.sort(pairs, order=("record", "subject"))
    rows = np.searchsorted(record_keys, pairs["record"]).astype(np.int32)
    return {"more_rows": rows, "more_subjects": np.ascontiguousarray(pairs["subject"])}
