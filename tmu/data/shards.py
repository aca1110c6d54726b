"""One shard: the records of one bucket in a Parquet file whose bytes depend on its content alone.

Columns: `record_key` and `subject_key` (16 bytes), `label` (int32), `split` (int8, position in `SPLITS`), `image`
(C·H·W bytes; where JPEGs are kept, pixels or JPEG, and two columns more: `tmu/data/cells.py`); rows ascend by record
key. A record with several people lies in the bucket of the first of them, and a column `more_subjects` (16 bytes for
each further person) is there only where a shard holds such a record. The schema metadata (`tmu`, JSON) carries the
bucket, the tombstones of what was erased, which people's ids are alike, and a digest of all that an index needs, so
that a cached index is found without reading the columns. Every page has a CRC, so that a changed byte is noticed and
not learned.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tmu.data.cells import IMAGE, LOOK, PIXELS, Cells, fixed, flat, numbers, whole
from tmu.data.keys import KEY_BYTES, KEY_DTYPE, to_hex
from tmu.errors import DataError
from tmu.files import canonical_json, new_file

_METADATA = b"tmu"
_KEY_COLUMNS = ("record_key", "subject_key", "label", "split")
_MORE = "more_subjects"
_BATCH_ROWS, _BATCH_BYTES = 1024, 4 << 20
"""What goes into a page at a time, at most: writing and reading hold a page in memory, and again compressed."""
_READ_BYTES = 1 << 20
"""Of a file at a time; else all of a column would be read before it is decompressed."""


def _no_rows() -> np.ndarray:
    return np.empty(0, np.int32)


def _no_keys() -> np.ndarray:
    return np.empty(0, KEY_DTYPE)


@dataclass(frozen=True, eq=False, kw_only=True)
class ShardKeys:
    """A shard without its images. Arrays (N,): keys `S16`, `labels` int32, `splits` int8. Tombstones: hex, sorted.

    more_rows, more_subjects: (M,) int32 and `S16`, the rows with further people and who they are, ascending.
    erased_subjects: people of whom this shard held records and holds none any more; they may have some in another one.
    alike: subject key -> key that it shares with people whose ids differ from theirs by case, blanks or width alone.
    """

    bucket: int
    record_keys: np.ndarray
    subject_keys: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    more_rows: np.ndarray = field(default_factory=_no_rows)
    more_subjects: np.ndarray = field(default_factory=_no_keys)
    erased: tuple[str, ...] = ()
    erased_subjects: tuple[str, ...] = ()
    alike: Mapping[str, str] = field(default_factory=dict)

    def people(self) -> np.ndarray:
        """The keys (S16) of all people of whom this shard holds a record, each once, ascending."""
        return np.unique(np.concatenate([self.subject_keys, self.more_subjects]))

    def keys_digest(self) -> str:
        """SHA-256 of everything but the images: the name of this shard's part of the index."""
        digest = hashlib.sha256(canonical_json(self.facts()))
        columns = [self.record_keys, self.subject_keys, self.labels.astype("<i4"), self.splits]
        if len(self.more_rows):
            columns += [self.more_rows.astype("<i4"), self.more_subjects]
        for column in columns:
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """What the metadata says, JSON-ready. `alike` is left out where it is empty: older shards do not know it."""
        facts = {"bucket": self.bucket, "erased": self.erased, "erased_subjects": self.erased_subjects}
        return facts | ({"alike": dict(self.alike)} if self.alike else {})


_Of = TypeVar("_Of", bound=ShardKeys)


@dataclass(frozen=True, eq=False, kw_only=True)
class ShardTable(ShardKeys):
    """A shard with its pictures decoded. `images` is uint8 (N, C·H·W)."""

    images: np.ndarray

    def rows(self, chosen: np.ndarray, **changes: Any) -> "ShardTable":
        """The same shard with only the `chosen` rows (boolean or positions) and other `changes`."""
        return _rows(self, chosen, {"images": self.images[chosen]} | changes)


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredShard(ShardKeys):
    """A shard with its pictures as they are stored: what is rewritten is not decoded."""

    cells: Cells

    def rows(self, chosen: np.ndarray, **changes: Any) -> "StoredShard":
        """As `ShardTable.rows`."""
        return _rows(self, chosen, {"cells": self.cells.take(np.arange(len(self.cells))[chosen])} | changes)


def _rows(shard: _Of, chosen: np.ndarray, changes: dict[str, Any]) -> _Of:
    """The `chosen` rows of a shard; `changes` hold its pictures, and what else is to differ."""
    kept = {name: getattr(shard, name)[chosen] for name in ("record_keys", "subject_keys", "labels", "splits")}
    place = np.full(len(shard.record_keys), -1, np.int32)
    place[np.arange(len(place))[chosen]] = np.arange(len(kept["record_keys"]))
    rows, people = place[shard.more_rows], shard.more_subjects
    order = np.lexsort((people, rows))
    order = order[rows[order] >= 0]
    kept |= {"more_rows": rows[order], "more_subjects": people[order]}
    made = replace(shard, **(kept | changes))
    there = set(to_hex(made.people()))
    return replace(made, alike={key: value for key, value in made.alike.items() if key in there})


def write_shard(path: Path, shard: ShardTable | StoredShard) -> None:
    """Write a shard, whole or not at all. A file hard-linked at `path` elsewhere keeps its bytes there."""
    table = _to_arrow(shard)
    with new_file(path) as file:
        pq.write_table(
            table,
            file,
            row_group_size=max(1, len(shard.record_keys)),
            compression="zstd",
            compression_level=3,
            use_dictionary=False,
            write_statistics=False,  # smallest and largest keys would be copies of keys
            write_page_checksum=True,
            write_batch_size=min(_BATCH_ROWS, max(1, _BATCH_BYTES // _image_bytes(shard))),
        )


def read_shard(path: Path) -> ShardTable:
    """Read a shard whole, with decoded pictures; errors as `read_stored`."""
    shard = read_stored(path)
    rest = {name: value for name, value in vars(shard).items() if name != "cells"}
    return ShardTable(**rest, images=shard.cells.pixels())


def read_stored(path: Path) -> StoredShard:
    """Read a shard and decode nothing; `DataError` with the shard's name if it is missing, truncated or changed."""
    table, keys, facts = _read(path, _KEY_COLUMNS, images=True)
    columns = table.select([name for name in (IMAGE, PIXELS, LOOK) if name in table.column_names])
    return StoredShard(**vars(keys), cells=Cells(columns, facts.shape))


def read_keys(path: Path) -> ShardKeys:
    """Read a shard's key columns and tombstones and leave the images where they are; errors as `read_shard`."""
    return _read(path, _KEY_COLUMNS)[1]


@dataclass(frozen=True)
class ShardFacts:
    """A shard's metadata. `keys_digest` as `ShardKeys.keys_digest`, `image_bytes` = C·H·W, tombstones hex.

    shape: (C, H, W) where JPEGs are kept.
    """

    bucket: int
    erased: tuple[str, ...]
    erased_subjects: tuple[str, ...]
    keys_digest: str
    image_bytes: int
    alike: Mapping[str, str] = field(default_factory=dict)
    shape: tuple[int, int, int] | None = None


def read_facts(path: Path) -> ShardFacts:
    """Read a shard's metadata alone (the last few kilobytes of the file); errors as `read_shard`."""
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _broken(path) from error
    return _facts(schema, path)


def keys_table(shard: ShardKeys) -> pa.Table:
    """A shard's key columns as an Arrow table."""
    arrays = {
        "record_key": fixed(shard.record_keys, KEY_BYTES),
        "subject_key": fixed(shard.subject_keys, KEY_BYTES),
        "label": numbers(shard.labels.astype(np.int32)),
        "split": numbers(shard.splits.astype(np.int8)),
    }
    if len(shard.more_rows):
        counts = np.bincount(shard.more_rows, minlength=len(shard.record_keys))
        ends = np.concatenate([[0], np.cumsum(counts)]) * KEY_BYTES
        buffers = [None, pa.py_buffer(ends.astype("<i4").tobytes()), pa.py_buffer(shard.more_subjects.tobytes())]
        arrays[_MORE] = pa.Array.from_buffers(pa.binary(), len(counts), buffers)
    fields = [pa.field(name, array.type, nullable=False) for name, array in arrays.items()]
    return pa.Table.from_arrays(list(arrays.values()), schema=pa.schema(fields))


def shard_keys(table: pa.Table, facts: ShardFacts) -> ShardKeys:
    """The inverse of `keys_table`; arrays are views of the table where it is in one piece."""
    return ShardKeys(
        bucket=facts.bucket,
        erased=facts.erased,
        erased_subjects=facts.erased_subjects,
        alike=facts.alike,
        **_more(table),
        record_keys=flat(whole(table.column("record_key")), KEY_DTYPE),
        subject_keys=flat(whole(table.column("subject_key")), KEY_DTYPE),
        labels=_numbers(table.column("label")),
        splits=_numbers(table.column("split")),
    )


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column without gaps; pyarrow's own `to_numpy` imports pandas, which takes a quarter of a second."""
    found: np.ndarray = np.from_dlpack(whole(column))
    return found


def _to_arrow(shard: ShardTable | StoredShard) -> pa.Table:
    cells = shard.cells if isinstance(shard, StoredShard) else Cells.of_pixels(shard.images)
    facts = shard.facts() | {"keys_digest": shard.keys_digest()} | ({"shape": cells.shape} if cells.shape else {})
    table = keys_table(shard)
    for name in cells.columns.column_names:
        column = cells.columns.column(name)
        table = table.append_column(pa.field(name, column.type, nullable=False), whole(column))
    return table.replace_schema_metadata({_METADATA: canonical_json(facts)})


def _image_bytes(shard: ShardTable | StoredShard) -> int:
    return shard.cells.image_bytes if isinstance(shard, StoredShard) else int(shard.images.shape[1])


def _more(table: pa.Table) -> dict[str, np.ndarray]:
    """Further people: rows and keys."""
    if _MORE not in table.column_names:
        return {}
    column = whole(table.column(_MORE))
    ends = np.frombuffer(column.buffers()[1], "<i4")[column.offset : column.offset + len(column) + 1]
    keys = np.frombuffer(column.buffers()[2], np.uint8)[ends[0] : ends[-1]]
    if np.any(np.diff(ends) % KEY_BYTES):
        raise ValueError("a key of another length")
    rows = np.repeat(np.arange(len(column), dtype=np.int32), np.diff(ends) // KEY_BYTES)
    return {"more_rows": rows, "more_subjects": keys.view(KEY_DTYPE)}


def _read(path: Path, columns: tuple[str, ...], *, images: bool = False) -> tuple[pa.Table, ShardKeys, ShardFacts]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, buffer_size=_READ_BYTES) as file:
            facts, names = _facts(file.schema_arrow, path), file.schema_arrow.names
            wanted = (_MORE, IMAGE, PIXELS, LOOK) if images else (_MORE,)
            table = file.read(columns=[*columns, *(name for name in wanted if name in names)], use_threads=False)
        keys = shard_keys(table, facts)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _broken(path) from error
    if keys.keys_digest() != facts.keys_digest:
        raise _broken(path)
    return table, keys, facts


def _facts(schema: pa.Schema, path: Path) -> ShardFacts:
    try:
        raw = json.loads((schema.metadata or {})[_METADATA])
        raw |= {"erased": tuple(raw["erased"]), "erased_subjects": tuple(raw["erased_subjects"])}
        shape = tuple(map(int, raw["shape"])) if "shape" in raw else None
        size = prod(shape) if shape else schema.field(IMAGE).type.byte_width
        return ShardFacts(**raw | {"shape": shape}, image_bytes=size)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(path) from error


def _broken(path: Path) -> DataError:
    return DataError(
        f"Shard {path.name} is missing, truncated or changed.",
        "Restore it with `dvc checkout`; `dvc pull` if that fails.",
    )
