"""What lies inside a file, read by the libraries of its format: a scan of compressed bytes finds nothing.

Parquet, Arrow, zip (npz, exported models), gzip, bzip2, xz, zstd, lz4, safetensors, npy, pictures, and pictures in text
or in the middle of other bytes. SQLite is read in `databases.py`.
"""

import base64
import binascii
import bz2
import gzip
import io
import json
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tmu.search import pictures
from tmu.search.scan import Buffer

MOST_BYTES = 4 << 30
"""A part that unpacks to more is not looked at, and the report says so."""


@dataclass(frozen=True)
class Part:
    """One part of a container. inside: its name there. data: bytes to look at; images: (N, H, W[, C]) uint8 to compare.

    mark: the part is a list of what was erased. unread: why it could not be read. raw: its bytes lie as they are in the
    container, whose own scan found them.
    """

    inside: str
    data: bytes | None = None
    images: np.ndarray | None = None
    mark: bool = False
    unread: str = ""
    raw: bool = False


@dataclass(frozen=True)
class Around:
    """What is known of a container's surroundings. shape: (C, H, W) of the images in shards, where it is known."""

    name: str = ""
    shape: tuple[int, int, int] | None = None


def parts(data: Buffer, around: Around) -> Iterator[Part]:
    """The parts of bytes, by what they begin with; none for plain ones."""
    opener = _opener(bytes(data[:512]), around.name)
    if opener is None:
        yield from _pictures_in(data)
        return
    try:
        yield from opener(bytes(data), around)
    except _BROKEN as error:
        yield Part(inside="", unread=f"{opener.__name__.strip('_')} cannot be read ({type(error).__name__})")


def is_packed(data: bytes) -> bool:
    """Whether bytes are a container by their beginning."""
    return _opener(data[:512], "") is not None


def tail_of(data: Buffer) -> int:
    """Where the bytes end that are scanned as they are: before the footer of Parquet, which holds the tombstones."""
    if len(data) > 12 and bytes(data[:4]) == b"PAR1" and bytes(data[-4:]) == b"PAR1":
        footer = int.from_bytes(bytes(data[-8:-4]), "little")
        return max(0, len(data) - 8 - footer)
    return len(data)


_BROKEN = (
    OSError, ValueError, KeyError, TypeError, EOFError, pa.ArrowException, zipfile.BadZipFile, lzma.LZMAError,
    zlib.error, RuntimeError, NotImplementedError, MemoryError, OverflowError, SyntaxError,
)  # fmt: skip


def _opener(head: bytes, name: str) -> Callable[[bytes, Around], Iterator[Part]] | None:
    for mark, opener in _MARKS.items():
        if head.startswith(mark):
            return opener
    if len(head) > 9 and head[8:9] == b"{" and 2 < int.from_bytes(head[:8], "little") < 1 << 28:
        return _safetensors
    if (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or (head[:2] == b"BM" and head[6:10] == bytes(4)):
        return _picture
    return None


def _parquet(data: bytes, around: Around) -> Iterator[Part]:
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        yield from _metadata(file.schema_arrow.metadata or {})
        for group in range(file.num_row_groups):
            yield from _columns(file.read_row_group(group, use_threads=False), around)


def _arrow(data: bytes, around: Around) -> Iterator[Part]:
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


def _zip(data: bytes, around: Around) -> Iterator[Part]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            inside = f"member {member.filename}"
            yield Part(inside=f"{inside}, name", data=member.filename.encode() + member.comment)
            if member.flag_bits & 1:
                yield Part(inside=inside, unread="it is encrypted")
            elif member.file_size > MOST_BYTES:
                yield Part(inside=inside, unread="it unpacks to too much")
            else:
                yield Part(inside=inside, data=archive.read(member))


def _gzip(data: bytes, around: Around) -> Iterator[Part]:
    yield _unpacked(gzip.GzipFile(fileobj=io.BytesIO(data)))


def _bzip2(data: bytes, around: Around) -> Iterator[Part]:
    yield _unpacked(bz2.BZ2File(io.BytesIO(data)))


def _xz(data: bytes, around: Around) -> Iterator[Part]:
    with lzma.LZMAFile(io.BytesIO(data)) as stream:
        yield _unpacked(stream)


def _zstd(data: bytes, around: Around) -> Iterator[Part]:
    yield _unpacked(pa.CompressedInputStream(pa.BufferReader(data), "zstd"))


def _lz4(data: bytes, around: Around) -> Iterator[Part]:
    yield _unpacked(pa.CompressedInputStream(pa.BufferReader(data), "lz4"))


def _closed(data: bytes, around: Around) -> Iterator[Part]:
    yield Part(inside="", unread="it is an archive of a kind that is not opened here")


def _unpacked(stream: io.IOBase) -> Part:
    with stream:
        found = stream.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        return Part(inside="unpacked", unread="it unpacks to too much")
    return Part(inside="unpacked", data=found)


def _npy(data: bytes, around: Around) -> Iterator[Part]:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    yield from _images_of("array", array)


def _safetensors(data: bytes, around: Around) -> Iterator[Part]:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for name, each in header.items():
        if name == "__metadata__" or each["dtype"] not in _DTYPES:
            continue
        start, end = each["data_offsets"]
        if start == end:
            continue
        array = np.frombuffer(data[8 + size + start : 8 + size + end], _DTYPES[each["dtype"]]).reshape(each["shape"])
        yield from _images_of(f"tensor {name}", array)


_DTYPES: dict[str, np.dtype] = {
    "U8": np.dtype("u1"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
}


def _images_of(inside: str, array: np.ndarray) -> Iterator[Part]:
    """An array of three or four dimensions as pictures, whichever side its channels are on; whole, or row by row."""
    if array.dtype.kind not in "uf" or array.ndim not in (2, 3, 4) or not array.size:
        return
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 1, -1)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 0, -1)[None]
    elif array.ndim == 3 and array.shape[-1] in (1, 3):
        array = array[None]
    if min(array.shape[1:3]) < pictures.SMALLEST or max(array.shape[1:3]) > 8192:
        return
    if array.ndim == 4 and array.shape[-1] not in (1, 3):
        array = array.reshape(-1, *array.shape[2:])
        if min(array.shape[1:3]) < pictures.SMALLEST:
            return
    yield Part(inside=inside, images=array if array.dtype == np.uint8 else _shades(array))


def _shades(array: np.ndarray) -> np.ndarray:
    """Numbers of any scale as uint8: 0..1 and 0..255 as they are meant, others by their smallest and largest."""
    values = np.nan_to_num(array.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        values = values * 255
    elif low < 0 or high > 255:
        values = (values - low) * (255 / max(high - low, 1e-9))
    return np.round(values).astype(np.uint8)


def _picture(data: bytes, around: Around) -> Iterator[Part]:
    for frame in pictures.decoded(data):
        yield Part(inside="picture", images=frame[None])


_URI = re.compile(rb"data:image/[a-z+.]+;base64,([A-Za-z0-9+/=\s]{40,})")
_CARVED = {b"\x89PNG\r\n\x1a\n": 1 << 26, b"\xff\xd8\xff": 1 << 26}
_MOST_CARVED = 100_000


def _pictures_in(data: Buffer) -> Iterator[Part]:
    """Pictures in the middle of other bytes: in text as base64, in databases and archives as they are."""
    for match in _URI.finditer(data):
        try:
            content = base64.b64decode(match[1])
        except (binascii.Error, ValueError):
            continue
        if not content.startswith(b"<"):
            yield Part(inside="picture in text", data=content)
    for mark, most in _CARVED.items():
        for count, match in enumerate(re.finditer(re.escape(mark), data)):
            if count >= _MOST_CARVED:
                yield Part(inside="", unread="it holds more pictures than are looked at")
                break
            frames = _carved(bytes(data[match.start() : match.start() + most]))
            yield from (Part(inside="picture in bytes", images=frame[None]) for frame in frames)


def _carved(data: bytes) -> list[np.ndarray]:
    """A picture that begins here; none where the mark was chance."""
    try:
        return pictures.decoded(data)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        return []


_MARKS: dict[bytes, Callable[[bytes, Around], Iterator[Part]]] = {
    b"PAR1": _parquet,
    b"ARROW1": _arrow,
    b"PK\x03\x04": _zip,
    b"PK\x05\x06": _zip,
    b"\x1f\x8b": _gzip,
    **{b"BZh%d1AY&SY" % level: _bzip2 for level in range(1, 10)},
    b"\xfd7zXZ\x00": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\x04\x22\x4d\x18": _lz4,
    b"7z\xbc\xaf": _closed,
    b"Rar!": _closed,
    b"\x93NUMPY": _npy,
    b"\x89PNG\r\n": _picture,
    b"\xff\xd8\xff": _picture,
    b"GIF8": _picture,
    b"II*\x00": _picture,
    b"MM\x00*": _picture,
}
