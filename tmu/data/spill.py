"""The first half of an import: checked records in fixed-length rows, one spill file a bucket."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tmu.data.info import StoreInfo
from tmu.data.keys import KEY_DTYPE, Keys, bucket_of
from tmu.data.records import SPLITS, Record
from tmu.errors import DataError


@dataclass(frozen=True)
class Tombstones:
    """Erased keys of the store that is replaced, by bucket: (records, subjects)."""

    by_bucket: dict[int, tuple[tuple[str, ...], tuple[str, ...]]]

    @property
    def records(self) -> frozenset[str]:
        """All erased record keys."""
        return frozenset(key for records, _ in self.by_bucket.values() for key in records)

    @property
    def subjects(self) -> frozenset[str]:
        """The keys of all subjects of whom every record was erased."""
        return frozenset(key for _, subjects in self.by_bucket.values() for key in subjects)


class Spill:
    """Fixed-length rows in one file a bucket, and the checks that need to see every record."""

    def __init__(self, info: StoreInfo, keys: Keys, tombstones: Tombstones, folder: Path):
        self.info, self.keys, self.folder = info, keys, folder
        self._erased, self._erased_subjects = tombstones.records, tombstones.subjects
        self.row = np.dtype(
            [
                ("record", KEY_DTYPE),
                ("subject", KEY_DTYPE),
                ("label", "<i4"),
                ("split", "i1"),
                ("image", "u1", (info.image_bytes,)),
            ]
        )
        self.added = self.skipped = 0
        self._seen = bytearray()  # 16 bytes a record, in order, to find duplicates across buckets
        self._positions = bytearray()
        self._train_of_class = np.zeros(len(info.classes), np.int64)
        self._labels_seen: set[int] = set()
        self._files: dict[int, BinaryIO] = {}

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """The bucket files are open for `add` inside, and whole afterwards."""
        self.folder.mkdir()
        with contextlib.ExitStack() as self._stack:
            yield

    def add(self, position: int, record: Record) -> None:
        """Check a record and append it to its bucket."""
        self._check_record(position, record)
        key = self.keys.record(record.id)
        lone = record.subject is None
        subject = self.keys.lone_subject(record.id) if lone else self.keys.subject(record.subject)
        if key in self._erased or subject in self._erased_subjects:
            self.skipped += 1
            return
        rule = self.info.split_rule
        split = record.split or rule.split(self.keys.split_fraction(key, rule.seed))
        raw_key, code = bytes.fromhex(key), SPLITS.index(split)
        parts = (raw_key, bytes.fromhex(subject), int(record.label).to_bytes(4, "little"), bytes([code]))
        self._file(bucket_of(subject, self.info.n_buckets)).write(b"".join((*parts, record.image.tobytes())))
        self._seen += raw_key
        self._positions += position.to_bytes(8, "little")
        self._labels_seen.add(record.label)
        self._train_of_class[record.label] += split == "train"
        self.added += 1

    def _file(self, bucket: int) -> BinaryIO:
        if bucket not in self._files:
            self._files[bucket] = self._stack.enter_context((self.folder / f"{bucket:02x}").open("wb"))
        return self._files[bucket]

    def _check_record(self, position: int, record: Record) -> None:
        image, shape = record.image, self.info.shape
        if image.dtype != np.uint8 or image.shape != shape:
            raise DataError(
                f"Record {position} is {image.dtype} {tuple(image.shape)}, not uint8 {shape}.",
                "Mend the reader or the data.",
            )
        if not 0 <= record.label < len(self.info.classes):
            raise DataError(f"Record {position} has label {record.label}, which is no class.", "Mend its label.")
        if record.split is not None and record.split not in SPLITS:
            raise DataError(f"Record {position} has an unknown split.", f"Use {', '.join(SPLITS)}.")

    def check(self) -> None:
        """What only the whole shows: duplicates, one class, a class that no training record has."""
        keys = np.frombuffer(bytes(self._seen), KEY_DTYPE)
        order = np.argsort(keys, kind="stable")
        twins = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        if len(twins):
            position = np.frombuffer(bytes(self._positions), "<i8")[order[twins + 1]].min()
            raise DataError(f"Record {position} has the id of an earlier record.", "Ids must differ; remove the copy.")
        if len(self._labels_seen) < 2:
            raise DataError("The records are all of one class.", "A classifier needs two; check the labels.")
        lacking = np.flatnonzero(self._train_of_class == 0)
        if len(lacking):
            raise DataError(
                f"Class `{self.info.classes[lacking[0]]}` has no training record.",
                "Add records of that class, or drop the class.",
            )
