"""Parquet and Arrow: metadata, tombstones, and each column; the pictures of our own shards as pictures."""

import json
import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tmu.search.containers.kinds import is_packed
from tmu.search.containers.part import Around, Part


def parquet_parts(data: bytes, around: Around) -> Iterator[Part]:
    """Metadata and columns, by row group."""
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        yield from _metadata(file.schema_arrow.metadata or {})
        for group in range(file.num_row_groups):
            yield from _columns(file.read_row_group(group, use_threads=False), around)


def arrow_parts(data: bytes, around: Around) -> Iterator[Part]:
    """Metadata and columns, by record batch."""
    with pa.ipc.open_file(pa.BufferReader(data)) as file:
        yield from _metadata(file.schema.metadata or {})
        for number in range(file.num_record_batches):
            yield from _columns(pa.Table.from_batches([file.get_batch(number)]), around)


def _metadata(metadata: dict[bytes, bytes]) -> Iterator[Part]:
    """Keys and values; what our shards list as erased is a part of its own."""
    for key, value in metadata.items():
        name = f"metadata {key.decode(errors='replace')}"
        if key == b"tmu":
            facts = json.loads(value)
            marks = {each: facts.pop(each, []) for each in ("erased", "erased_subjects")}
            yield Part(inside=f"{name}, tombstones", data=json.dumps(marks).encode(), mark=True)
            value = json.dumps(facts).encode()
        yield Part(inside=name, data=value)


def _columns(table: pa.Table, around: Around) -> Iterator[Part]:
    told = _shape_told(table.schema.metadata or {})
    for name, column in zip(table.column_names, table.columns, strict=True):
        width = column.type.byte_width if pa.types.is_fixed_size_binary(column.type) else 0
        shape = _shape_of(width, around) if name == "image" and width else None
        for chunk in column.chunks:
            if shape is not None:
                flat = np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width :][: len(chunk) * width]
                yield Part(inside=f"column {name}", data=flat.tobytes())
                yield Part(inside=f"column {name}", images=np.moveaxis(flat.reshape(len(chunk), *shape), 1, -1))
            elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
                cells = [cell for cell in chunk.to_pylist() if cell]
                yield Part(inside=f"column {name}", data=b"\0".join(cells))
                if name == "image":
                    yield from _pixels_among(cells, told or around.shape)
                yield from (Part(inside=f"column {name}", data=cell) for cell in cells if is_packed(cell))
            else:
                yield from (Part(inside=f"column {name}", data=raw) for raw in _buffers(chunk))


def _shape_told(metadata: dict[bytes, bytes]) -> tuple[int, int, int] | None:
    """(C, H, W), which a shard names that holds JPEGs among its pixels."""
    shape = json.loads(metadata.get(b"tmu", b"{}")).get("shape")
    return (int(shape[0]), int(shape[1]), int(shape[2])) if shape else None


def _pixels_among(cells: list[bytes], shape: tuple[int, int, int] | None) -> Iterator[Part]:
    """The pictures among cells that are pixels; the others are files, and opened as such."""
    plain = [cell for cell in cells if shape is not None and len(cell) == math.prod(shape)]
    if shape is not None and plain:
        images = np.frombuffer(b"".join(plain), np.uint8).reshape(-1, *shape)
        yield Part(inside="column image", images=np.moveaxis(images, 1, -1))


def _buffers(array: pa.Array) -> Iterator[bytes]:
    if pa.types.is_dictionary(array.type):
        yield from _buffers(array.dictionary)
    yield from (buffer.to_pybytes() for buffer in array.buffers() if buffer is not None and buffer.size >= 4)


def _shape_of(width: int, around: Around) -> tuple[int, int, int] | None:
    if around.shape is not None and math.prod(around.shape) == width:
        return around.shape
    for channels in (1, 3):
        side = math.isqrt(width // channels)
        if channels * side * side == width:
            return channels, side, side
    return None
