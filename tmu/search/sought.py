"""From ids and pictures that the verifier gives to needles; and from the shards, what belongs to the same person."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tmu.data.ids import IdRule
from tmu.data.jpeg import stripped
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.errors import ConfigError, RequestError
from tmu.search import pictures
from tmu.search.needles import Needle, Needles, is_short, of_bytes, of_id, of_keys
from tmu.search.report import By
from tmu.workspace import Workspace

_STORE = "store.json"
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Given:
    """What the verifier gives. subjects, records: raw ids, or keys (32 hex digits) in `keys`. pictures: a folder."""

    subjects: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    pictures: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.subjects or self.records or self.keys or self.pictures)


def secrets_of(workspace: Workspace) -> list[bytes]:
    """All versions of the secret that keys are made with: the file's, and what a rotation left beside it."""
    path = workspace.settings.key_file or workspace.root / ".tmu" / "hash.key"
    found = {each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")) if each.is_file()}
    found |= {DEMO_SECRET} if _told(workspace).get("simulated") else set()
    return sorted(each for each in found if len(each) >= 16)


def needles_of(workspace: Workspace, given: Given) -> Needles:
    """Needles of what was given. Raises RequestError for nothing, ConfigError without the secret of the keys."""
    if not given:
        raise RequestError("Nothing is searched for.", "Give --subject, --record, --ids or --pictures.")
    secrets = secrets_of(workspace)
    if not secrets and (given.subjects or given.records):
        raise ConfigError("The secret of this workspace's keys is not there.", "Restore it from its backup.")
    rule = IdRule.model_validate(_told(workspace).get("ids") or {})
    records, subjects = list(given.keys), list(given.keys)
    for secret in secrets:
        keys = Keys(secret, rule)
        subjects += [each for raw in given.subjects for each in (keys.subject(raw), keys.alike(raw))]
        records += [keys.record(raw) for raw in given.records]
        subjects += [keys.lone_subject(raw) for raw in given.records]
    ids = dict.fromkeys((*given.subjects, *given.records))
    found = of_keys(records, subjects, max(1, len(secrets)))
    texts = tuple(each for number, raw in enumerate(ids) for each in of_id(raw, number))
    short = sum(map(is_short, ids))
    found = found.joined(Needles(forms=texts, n_ids=len(ids), n_short_ids=short))
    return found.joined(of_folder(given.pictures)) if given.pictures else found


def of_folder(folder: Path) -> Needles:
    """Needles of reference pictures: each file's bytes, its pixels, its hashes. Raises RequestError for none there."""
    found, files = Needles(), 0
    for number, path in enumerate(sorted(each for each in folder.rglob("*") if each.is_file())):
        content = path.read_bytes()
        try:
            frames = pictures.decoded(content)
        except (OSError, ValueError, SyntaxError):
            continue
        files += 1
        encoded: list[Needle] = list(of_bytes(By.FILE, content, 0))
        found = found.joined(Needles(forms=tuple(encoded), n_files=files)).joined(of_files(_as_stored(content)))
        for frame in frames:
            found = found.joined(pictures.needles_of(frame, number))
    if not files:
        raise RequestError(f"There is no picture in {folder}.", "Name a folder of pictures of the person.")
    return found


@dataclass(frozen=True)
class Rows:
    """What a shard holds of the person. splits: how many rows of each split. records, subjects: keys in those rows.

    images: decoded, uint8 (H, W, C); files: the JPEGs among them as they lie in the shard.
    """

    splits: tuple[int, ...]
    records: frozenset[str]
    subjects: frozenset[str]
    images: tuple[np.ndarray, ...] = ()
    files: tuple[bytes, ...] = ()
    train_records: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return any(self.splits)


class Shards:
    """Reads the rows of record shards, by itself: Parquet files with `record_key` and `subject_key`."""

    def __init__(self, records: Collection[str], subjects: Collection[str], shape: tuple[int, int, int] | None) -> None:
        self._records, self._subjects, self._shape = _raw(records), _raw(subjects), shape

    def rows(self, path: Path) -> Rows | None:
        """The person's rows in a shard; None for a file that is none."""
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                if not {"record_key", "subject_key", "split"} <= set(names):
                    return None
                columns = [each for each in ("record_key", "subject_key", "split", "more_subjects") if each in names]
                table = file.read(columns=columns, use_threads=False)
                chosen = self._chosen(table)
                images = file.read(columns=["image"]).take(pa.array(chosen)) if chosen and "image" in names else None
        except (pa.ArrowException, OSError, ValueError):
            return None
        return self._found(table.take(pa.array(chosen, pa.int64())), images)

    def _chosen(self, table: pa.Table) -> list[int]:
        records, subjects = table.column("record_key").to_pylist(), table.column("subject_key").to_pylist()
        more = (
            table.column("more_subjects").to_pylist() if "more_subjects" in table.column_names else [b""] * len(records)
        )
        return [
            place
            for place, (record, subject, others) in enumerate(zip(records, subjects, more, strict=True))
            if record in self._records or subject in self._subjects or not self._subjects.isdisjoint(_cut(others))
        ]

    def _found(self, table: pa.Table, images: pa.Table | None) -> Rows:
        splits = np.bincount(table.column("split").to_numpy().astype(np.int64), minlength=3)
        records = frozenset(each.hex() for each in table.column("record_key").to_pylist())
        subjects = frozenset(each.hex() for each in table.column("subject_key").to_pylist() if each in self._subjects)
        keys, codes = table.column("record_key").to_pylist(), table.column("split").to_pylist()
        train = frozenset(key.hex() for key, code in zip(keys, codes, strict=True) if code == 0)
        cells = images.column("image").to_pylist() if images is not None else []
        files = tuple(cell for cell in cells if cell.startswith(_JPEG) and not self._is_plain(cell))
        return Rows(tuple(map(int, splits)), records, subjects, tuple(self._images(cells)), files, train)

    def _is_plain(self, cell: bytes) -> bool:
        return self._shape is not None and len(cell) == int(np.prod(self._shape))

    def _images(self, cells: Iterable[bytes]) -> Iterator[np.ndarray]:
        for cell in cells:
            if self._shape is not None and self._is_plain(cell):
                yield np.moveaxis(np.frombuffer(cell, np.uint8).reshape(self._shape), 0, -1)
            elif cell.startswith(_JPEG):
                yield from pictures.decoded(cell)


def of_rows(found: Iterable[Rows]) -> Needles:
    """Needles of what shards tell: the records of the person, and their pictures."""
    needles, number = Needles(), 0
    for rows in found:
        needles = needles.joined(of_keys(sorted(rows.records), sorted(rows.subjects), 0))
        for image in rows.images:
            number += 1
            needles = needles.joined(pictures.needles_of(image, number))
        needles = needles.joined(of_files(rows.files))
    return needles


def of_files(contents: Iterable[bytes]) -> Needles:
    """Needles of encoded pictures as they lie in shards."""
    return Needles(forms=tuple(each for content in contents for each in of_bytes(By.FILE, content, 0)))


def shape_of(workspace: Workspace) -> tuple[int, int, int] | None:
    """(C, H, W) of the images in the workspace's shards; None without a store."""
    shape = _told(workspace).get("shape")
    return (int(shape[0]), int(shape[1]), int(shape[2])) if shape else None


def _told(workspace: Workspace) -> dict[str, Any]:
    """`store.json` as it is written."""
    try:
        found = json.loads((workspace.data / _STORE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _as_stored(content: bytes) -> list[bytes]:
    """A JPEG as a store keeps it, where that differs from the file."""
    kept = stripped(content)
    return [kept] if kept not in (None, content) else []


def _raw(keys: Collection[str]) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(key) for key in keys)


def _cut(others: bytes) -> set[bytes]:
    return {others[start : start + 16] for start in range(0, len(others or b""), 16)}
