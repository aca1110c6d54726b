"""The first half of an import: checked records, a head and a picture each, one spill file a bucket."""

import contextlib
import mmap
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tmu.data.ids import FIRST
from tmu.data.info import StoreInfo
from tmu.data.jpeg import stripped
from tmu.data.keys import KEY_DTYPE, Keys, bucket_of, to_hex
from tmu.data.records import SPLITS, Record
from tmu.data.remembered import Tombstones
from tmu.errors import DataError, RequestError

Suppressed = Callable[[str], bool]
"""Whether a key (hex; of a record or a subject) was erased elsewhere or before a restore, and must not come back."""
StaysOut = Callable[[int, str, np.ndarray], bool]
"""Of a record's position, key and picture, uint8 (C, H, W): whether it is an erased picture that comes back."""


_HEAD = struct.Struct("<16s16sibI")
"""Record key, subject key, label, split, and the length of the picture that follows."""


@dataclass(frozen=True, eq=False)
class Spilled:
    """The records of one bucket, ascending by key. cells: pictures as they will be stored (`tmu/data/cells.py`)."""

    record_keys: np.ndarray
    subject_keys: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    cells: list[memoryview]


def nobody_stays_out(position: int, key: str, image: np.ndarray) -> bool:
    """Where nothing was ever erased."""
    return False


class Spill:
    """One file a bucket, and the checks that need to see every record. With `folder` None nothing is written."""

    def __init__(
        self,
        info: StoreInfo,
        keys: Keys,
        tombstones: Tombstones,
        folder: Path | None,
        where: Callable[[int], str],
        suppressed: Suppressed | None = None,
        stays_out: StaysOut = nobody_stays_out,
    ) -> None:
        self.info, self.keys, self.folder, self._where = info, keys, folder, where
        self._suppressed, self._stays_out = suppressed, stays_out
        self._erased, self._erased_subjects = tombstones.records, tombstones.subjects
        self.added = self.skipped = self.kept_out = self.shared = self.jpegs = self.drawn = 0
        self.more: dict[int, bytearray] = defaultdict(bytearray)
        """By bucket: record key and subject key of each further person in a record."""
        self._people = bytearray()  # alike key, subject key and position of each named person
        self._seen = bytearray()  # 16 bytes a record, in order, to find duplicates across buckets
        self._positions = bytearray()
        self.by_split = np.zeros((len(SPLITS), len(info.classes)), np.int64)
        """Records by split and class."""
        self.people_by_split: tuple[set[bytes], ...] = tuple(set() for _ in SPLITS)
        """Keys of the people with a record in each split; only counted where nothing is written."""
        self._files: dict[int, BinaryIO] = {}

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """The bucket files are open for `add` inside, and whole afterwards."""
        if self.folder is not None:
            self.folder.mkdir()
        with contextlib.ExitStack() as self._stack:
            yield

    def add(self, position: int, record: Record) -> None:
        """Check a record and append it to its bucket: that of the first of its people in the order of their keys."""
        self._check_record(position, record)
        key = self.keys.record(record.id)
        named = () if record.subject is None else (record.subject, *record.also)
        people = sorted({self._subject(position, id_) for id_ in named})
        subject, *further = people or [self.keys.lone_subject(record.id)]
        if self._is_erased(record.id, key, named, (subject, *further)):
            self.skipped += 1
            return
        if self._stays_out(position, key, record.image):
            self.kept_out += 1
            return
        rule = self.info.split_rule
        drawn = key if rule.by == "record" else subject
        split = record.split or rule.split(self.keys.split_fraction(drawn, rule.seed))
        raw_key, code, cell = bytes.fromhex(key), SPLITS.index(split), self._cell(position, record)
        bucket = bucket_of(subject, self.info.n_buckets)
        if self.folder is None:
            self.people_by_split[code].update(map(bytes.fromhex, (subject, *further)))
        else:
            head = _HEAD.pack(raw_key, bytes.fromhex(subject), int(record.label), code, len(cell))
            self._file(bucket, self.folder).write(head + cell)
        self.shared += bool(further)
        for other in further:
            self.more[bucket] += raw_key + bytes.fromhex(other)
        self._seen += raw_key
        self._positions += position.to_bytes(8, "little")
        self.by_split[code, record.label] += 1
        self.drawn += record.split is None
        self.added += 1

    def _cell(self, position: int, record: Record) -> bytes:
        """What is stored of a picture: a JPEG where there is a shorter one. Raises DataError for one with metadata."""
        if record.kept is None or len(record.kept) >= self.info.image_bytes:
            return record.image.tobytes()
        if stripped(record.kept) != record.kept:
            raise DataError(
                f"{self._where(position)} is a JPEG with more in it than a picture.", "Fix the reader: strip it."
            )
        self.jpegs += 1
        return record.kept

    def bucket(self, number: int) -> Spilled:
        """The records of a bucket; none where it got none. Its file goes, and its pictures are mapped, not read."""
        rows = list[tuple[bytes, bytes, int, int, memoryview]]()
        path = (self.folder or Path()) / f"{number:02x}"
        if number in self._files:
            with path.open("rb") as file:
                data, at = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), 0
            while at < len(data):
                record, subject, label, split, size = _HEAD.unpack_from(data, at)
                at += _HEAD.size + size
                rows.append((record, subject, label, split, data[at - size : at]))
            path.unlink()
        rows.sort(key=lambda row: row[0])
        records, subjects, labels, splits, cells = zip(*rows, strict=True) if rows else ((),) * 5
        return Spilled(
            np.array(records, KEY_DTYPE), np.array(subjects, KEY_DTYPE), np.array(labels, np.int32),
            np.array(splits, np.int8), list(cells),
        )  # fmt: skip

    def _subject(self, position: int, raw: str) -> str:
        try:
            key = self.keys.subject(raw)
        except RequestError as error:
            raise DataError(f"{self._where(position)}: {error.what}", error.hint) from error
        if not self.info.simulated:
            self._people += bytes.fromhex(self.keys.alike(raw) + key) + position.to_bytes(8, "little")
        return key

    def _is_erased(self, record_id: str, key: str, named: tuple[str, ...], subjects: tuple[str, ...]) -> bool:
        """Also under the first rule of ids and under former secrets: what was erased under those stays erased."""
        if not (self._erased or self._erased_subjects or self._suppressed):
            return False
        records, people = [key], list(subjects)
        for keys in self.keys.ring:
            records.append(keys.record(record_id))
            people += [keys.under(rule).subject(id_) for rule in (self.info.id_rule, FIRST) for id_ in named]
            people += [] if named else [keys.lone_subject(record_id)]
        if not self._erased.isdisjoint(records) or not self._erased_subjects.isdisjoint(people):
            return True
        return self._suppressed is not None and any(map(self._suppressed, {*records, *people}))

    def alike(self) -> tuple[dict[str, str], list[list[int]]]:
        """People whose ids differ by case, blanks or width alone: subject key -> key that they share, and for each
        group the position at which each of them comes first.
        """
        rows = np.frombuffer(bytes(self._people), [("alike", KEY_DTYPE), ("subject", KEY_DTYPE), ("position", "<i8")])
        rows = np.sort(rows, order=("alike", "subject", "position"))
        fresh = np.ones(len(rows), bool)
        fresh[1:] = (rows["alike"][1:] != rows["alike"][:-1]) | (rows["subject"][1:] != rows["subject"][:-1])
        rows = rows[fresh]
        groups, counts = np.unique(rows["alike"], return_counts=True)
        shared, found, places = groups[counts > 1], {}, []
        for start, end in zip(
            np.searchsorted(rows["alike"], shared, "left"), np.searchsorted(rows["alike"], shared, "right"), strict=True
        ):
            group = rows[start:end]
            found |= dict(zip(to_hex(group["subject"]), to_hex(group["alike"]), strict=True))
            places.append(sorted(group["position"].tolist()))
        return found, sorted(places)

    def _file(self, bucket: int, folder: Path) -> BinaryIO:
        if bucket not in self._files:
            self._files[bucket] = self._stack.enter_context((folder / f"{bucket:02x}").open("wb"))
        return self._files[bucket]

    def _check_record(self, position: int, record: Record) -> None:
        image, shape = record.image, self.info.shape
        if image.dtype != np.uint8 or image.shape != shape:
            raise DataError(
                f"{self._where(position)} is {image.dtype} {tuple(image.shape)}, not uint8 {shape}.",
                "Fix the reader or the data.",
            )
        if not 0 <= record.label < len(self.info.classes):
            raise DataError(f"{self._where(position)} has label {record.label}, which is no class.", "Fix its label.")
        if record.split is not None and record.split not in SPLITS:
            raise DataError(f"{self._where(position)} has an unknown split.", f"Use {', '.join(SPLITS)}.")

    def check(self) -> None:
        """What only the whole shows: duplicates, one class, a class that no training record has."""
        keys = np.frombuffer(bytes(self._seen), KEY_DTYPE)
        order = np.argsort(keys, kind="stable")
        twins = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        if len(twins):
            position = np.frombuffer(bytes(self._positions), "<i8")[order[twins + 1]].min()
            where = self._where(int(position))
            raise DataError(f"{where} has the id of an earlier record.", "Ids must differ; remove the copy.")
        if np.count_nonzero(self.by_split.sum(0)) < 2:
            raise DataError("The records are all of one class.", "A classifier needs two; check the labels.")
        lacking = np.flatnonzero(self.by_split[SPLITS.index("train")] == 0)
        if len(lacking):
            raise DataError(
                f"Class `{self.info.classes[lacking[0]]}` has no training record.",
                "Add records of that class, or drop the class.",
            )
