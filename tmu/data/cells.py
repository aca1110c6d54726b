"""The pictures of a shard as they are stored: pixels of one length, or a mix of pixels and kept JPEGs.

A kept JPEG is always shorter than the pixels it stands for: a cell of C·H·W bytes is pixels, a shorter one is JPEG. A
shard with JPEGs has two columns more, so that nothing need be decoded to compare pictures: `pixels` (16 bytes, the
digest of the decoded pixels, `tmu/data/contents.py`) and `look` (64 bytes, `tmu/data/looks.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa

from tmu.data import jpeg
from tmu.data.keys import KEY_BYTES, KEY_DTYPE
from tmu.data.looks import BITS, looks
from tmu.data.pixel_digests import digests
from tmu.errors import DataError

IMAGE, PIXELS, LOOK = "image", "pixels", "look"
LOOK_BYTES = BITS // 8
Shape = tuple[int, int, int]
_BLOCK = 256
"""Pictures that are decoded at a time."""


@dataclass(frozen=True, eq=False)
class Cells:
    """N pictures. columns: `image`, and where JPEGs are kept, `pixels` and `look`. shape: (C, H, W) in that case."""

    columns: pa.Table
    shape: Shape | None = None

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    @classmethod
    def of_pixels(cls, pixels: np.ndarray) -> "Cells":
        """Pixels alone: uint8 (N, C·H·W)."""
        return cls(pa.table({IMAGE: fixed(pixels, pixels.shape[1])}))

    @classmethod
    def of_mixed(cls, cells: Sequence[bytes], shape: Shape) -> "Cells":
        """Pixels and JPEGs; what the two further columns say is taken from the decoded pictures.

        Raises DataError where a JPEG cannot be decoded, or is not shorter than its pixels.
        """
        image = pa.array(cells, pa.large_binary())
        bare = cls(pa.table({IMAGE: image}), shape)
        values, seen = list[bytes](), list[np.ndarray]()
        for block in bare.blocks():
            values += digests(block)
            seen.append(np.packbits(looks(block.reshape(-1, *shape)), axis=1))
        rows = np.concatenate(seen) if seen else np.empty((0, LOOK_BYTES), np.uint8)
        columns = {IMAGE: image, PIXELS: pa.array(values, pa.binary(KEY_BYTES)), LOOK: fixed(rows, LOOK_BYTES)}
        return cls(pa.table(columns), shape)

    @property
    def kept(self) -> int:
        """How many are JPEGs."""
        if self.shape is None:
            return 0
        return int((self._sizes() < prod(self.shape)).sum())

    @property
    def image_bytes(self) -> int:
        """C·H·W."""
        return prod(self.shape) if self.shape else int(self.columns.column(IMAGE).type.byte_width)

    def take(self, rows: np.ndarray) -> "Cells":
        """Those at positions, in their order."""
        return Cells(self.columns.take(numbers(rows.astype(np.int64))), self.shape)

    def pixels(self, rows: np.ndarray | None = None, *, check: bool = False) -> np.ndarray:
        """Decoded pictures, uint8 (n, C·H·W); rows: positions, None for all.

        check: compare with the stored digests. Raises DataError where they differ, or a picture cannot be decoded.
        """
        if self.shape is None:
            every = flat(whole(self.columns.column(IMAGE)), np.dtype(np.uint8))
            every = every.reshape(len(self), self.image_bytes)
            return every if rows is None else every[rows]
        rows = np.arange(len(self)) if rows is None else rows
        column, found = self.columns.column(IMAGE), np.empty((len(rows), self.image_bytes), np.uint8)
        for place, row in enumerate(rows.tolist()):
            found[place] = _pixels(column[row].as_buffer(), self.shape)
        if check and digests(found) != self._digests()[rows].tolist():
            raise _other_pixels()
        return found

    def blocks(self, *, check: bool = False) -> Iterator[np.ndarray]:
        """All pictures decoded, some hundred at a time, as `pixels`."""
        every = self.pixels() if self.shape is None else None
        for start in range(0, len(self), _BLOCK):
            end = min(start + _BLOCK, len(self))
            yield self.pixels(np.arange(start, end), check=check) if every is None else every[start:end]

    def digests(self) -> np.ndarray:
        """The digests of all pictures, `S16` (N,): the stored ones where there are some."""
        if PIXELS in self.columns.column_names:
            return self._digests()
        return np.frombuffer(b"".join(each for block in self.blocks() for each in digests(block)), KEY_DTYPE)

    def looks(self, shape: Shape) -> np.ndarray:
        """The looks of all pictures, packed: uint8 (N, 64). shape: (C, H, W), for a shard that does not name it."""
        if LOOK in self.columns.column_names:
            return flat(whole(self.columns.column(LOOK)), np.dtype(np.uint8)).reshape(-1, LOOK_BYTES)
        seen = [np.packbits(looks(block.reshape(-1, *shape)), axis=1) for block in self.blocks()]
        return np.concatenate([np.empty((0, LOOK_BYTES), np.uint8), *seen])

    def _digests(self) -> np.ndarray:
        return flat(whole(self.columns.column(PIXELS)), KEY_DTYPE)

    def _sizes(self) -> np.ndarray:
        ends = [np.frombuffer(chunk.buffers()[1], "<i8")[chunk.offset :][: len(chunk) + 1] for chunk in self._chunks()]
        return np.concatenate([np.empty(0, np.int64), *map(np.diff, ends)])

    def _chunks(self) -> list[pa.Array]:
        return [chunk for chunk in self.columns.column(IMAGE).chunks if len(chunk)]


def fixed(values: np.ndarray, width: int) -> pa.Array:
    """Rows of `width` bytes as an Arrow array; a view where they lie in one piece."""
    whole = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(whole)])


def numbers(values: np.ndarray) -> pa.Array:
    """Numbers as an Arrow array of their type; pyarrow's own `array` imports pandas, which takes half a second."""
    whole = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(whole.dtype), len(whole), [None, pa.py_buffer(whole)])


def flat(array: pa.Array, dtype: np.dtype) -> np.ndarray:
    """A fixed-size binary array's bytes as numpy (a view), flat."""
    width = array.type.byte_width
    whole = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    return whole[array.offset * width : (array.offset + len(array)) * width].view(dtype)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece; not copied where it is."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _pixels(cell: pa.Buffer, shape: Shape) -> np.ndarray:
    if cell.size == prod(shape):
        return np.frombuffer(cell, np.uint8)
    if cell.size > prod(shape):
        raise DataError("A stored picture is longer than its pixels.", "Restore the store with `dvc checkout`.")
    try:
        return jpeg.decoded(cell.to_pybytes(), shape).reshape(-1)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError("A kept JPEG cannot be decoded.", "Restore the store with `dvc checkout`.") from error


def _other_pixels() -> DataError:
    return DataError(
        f"Kept JPEGs decode to other pixels than when they were imported (here: {jpeg.decoder()}).",
        "Install the decoder that `tmu data show` names, or import the dataset again.",
    )
