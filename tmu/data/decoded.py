"""Decoded pictures in files beside the data, for sets that are larger than memory (`tmu/train/source.py`).

One file a shard, made when it is first asked for: a `.npy` array uint8 (n, C, H, W) in the order of the shard's rows,
then a CRC-32 of each picture, which every reading checks. A file is named like the digests of pictures
(`contents.py`): by the shard's key digest and by inode, size and time of its file. It holds pictures of people:
`prune` removes what belongs to no shard of the data, and an erasure calls it.
"""

import errno
import os
import shutil
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tmu.data.index import Index
from tmu.data.info import StoreInfo, shard_path, shard_paths
from tmu.data.shards import ShardFacts, read_facts, read_keys
from tmu.errors import DataError, StorageError
from tmu.files import digest_of, new_file
from tmu.stores.lock import locked

_SUFFIX = ".npy"
_SUM = np.dtype("<u4")
Pieces = Callable[[int], Iterator[np.ndarray]]
"""Of a bucket: the pictures of its shard, uint8 (n, C·H·W), some rows after the other. Raises DataError."""


@dataclass(frozen=True)
class Decoding:
    """folder: where decoded pictures are kept. most: bytes of pictures up to which a set is held in memory."""

    folder: Path
    most: int


@dataclass(frozen=True, eq=False)
class _Part:
    """One open file. first: where its pictures begin. sums: uint32 (n,)."""

    path: Path
    file: BinaryIO
    first: int
    sums: np.ndarray


class Decoded:
    """The pictures of a store by position in its index: a `tmu.train.source.Source`.

    Files stay open, so that what is learned from them can go on while another process prunes. They are closed when
    nobody holds this object any more: it refers to nothing that refers to it.
    """

    def __init__(self, store: Path, info: StoreInfo, index: Index, folder: Path) -> None:
        self.shape = info.shape
        self._store, self._info, self._index, self._folder = store, info, index, folder
        self._parts: dict[int, _Part] = {}

    def __len__(self) -> int:
        return len(self._index)

    def prepare(self, positions: np.ndarray, pieces: Pieces) -> int:
        """Decode what is missing of the shards of the records at positions; returns how many shards that were.

        Raises StorageError where the disk is too small or too many files are open, DataError for a damaged shard, or
        where the store changed.
        """
        wanted = [int(each) for each in np.unique(self._index.buckets[positions]) if int(each) not in self._parts]
        with locked(self._folder / ".lock"):  # of several processes one decodes, the others wait
            missing = [bucket for bucket in wanted if not self._open(bucket)]
            self._refuse_full(missing)
            for bucket in missing:
                self._decode(bucket, pieces)
        return len(missing)

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, uint8 (B, C·H·W), with the pictures at positions. Raises DataError naming a damaged shard."""
        buckets, places = self._index.buckets[rows], self._index.rows[rows]
        width = self._info.image_bytes
        for number in np.lexsort((places, buckets)):
            part, place, into = self._parts[int(buckets[number])], int(places[number]), out[number]
            try:
                whole = os.preadv(part.file.fileno(), [into], part.first + place * width) == width
            except OSError:
                whole = False
            if not whole or zlib.crc32(into) != part.sums[place]:
                part.path.unlink(missing_ok=True)
                raise _damaged(int(buckets[number]), place)

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """The CRC-32 of each picture, as it was decoded: uint32 (B,)."""
        found = np.empty(len(rows), _SUM)
        buckets, places = self._index.buckets[rows], self._index.rows[rows]
        for bucket in np.unique(buckets):
            here = buckets == bucket
            found[here] = self._parts[int(bucket)].sums[places[here]]
        return found

    def _records(self, bucket: int) -> np.ndarray:
        """Positions of a shard's records, in the order of its rows."""
        here = np.flatnonzero(self._index.buckets == bucket)
        return here[np.argsort(self._index.rows[here])]

    def _open(self, bucket: int) -> bool:
        """Open the file of a shard; False where there is none, or not that of this very shard."""
        path = shard_path(self._store, bucket)
        facts = read_facts(path)
        keys = read_keys(path).record_keys
        if not np.array_equal(keys, self._index.record_keys[self._records(bucket)]):
            raise DataError("The store changed while it was being read.", "Run the same command again.")
        part = _opened(_path(path, facts, self._folder), (len(keys), *self.shape))
        if part is not None:
            self._parts[bucket] = part
        return part is not None

    def _refuse_full(self, missing: Collection[int]) -> None:
        records = int(np.isin(self._index.buckets, list(missing)).sum())
        needed, free = records * (self._info.image_bytes + _SUM.itemsize), shutil.disk_usage(self._folder).free
        if needed > free:
            raise StorageError(
                f"The decoded pictures take {needed / 2**30:.1f} GiB, the disk of {self._folder} has "
                f"{free / 2**30:.1f} GiB free.",
                "Free some space, or raise `stream_above_mib` where the pictures fit into memory.",
            )

    def _decode(self, bucket: int, pieces: Pieces) -> None:
        path = shard_path(self._store, bucket)
        target = _path(path, read_facts(path), self._folder)
        n, sums = len(self._records(bucket)), []
        with new_file(target) as file:
            head = {"descr": "|u1", "fortran_order": False, "shape": (n, *self.shape)}
            np.lib.format.write_array_header_1_0(file, head)
            for images in pieces(bucket):
                file.write(np.ascontiguousarray(images).data)
                sums += [zlib.crc32(image) for image in images]
            file.write(np.array(sums, _SUM).tobytes())
        if not self._open(bucket):
            raise DataError(f"Shard {path.name} changed while it was being read.", "Run the same command again.")


def dead(folder: Path, stores: Iterable[Path]) -> list[Path]:
    """What in the folder belongs to no shard of `stores`."""
    live = {_path(path, read_facts(path), folder) for store in stores for path in shard_paths(store)}
    return [path for path in folder.glob(f"*{_SUFFIX}") if path not in live]


def prune(folder: Path, stores: Iterable[Path]) -> int:
    """Remove what belongs to no shard of `stores`, and return the number of files removed."""
    gone = dead(folder, stores)
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _path(shard: Path, facts: ShardFacts, folder: Path) -> Path:
    stat = shard.stat()
    return folder / f"{digest_of([facts.keys_digest, stat.st_ino, stat.st_size, stat.st_mtime_ns])[:32]}{_SUFFIX}"


def _opened(path: Path, shape: tuple[int, ...]) -> _Part | None:
    """The file, if it is whole and of this shape. What its pictures are is checked when they are read."""
    try:
        file = path.open("rb", buffering=0)  # it stays open
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise StorageError(
                "Too many files are open: each shard of a set that is streamed is one.",
                "Raise the limit (`ulimit -n 8192`) and run the same command again.",
            ) from error
        return None
    try:
        np.lib.format.read_magic(file)
        found, _, dtype = np.lib.format.read_array_header_1_0(file)
        first = file.tell()
        end = first + int(np.prod(shape, dtype=np.int64))
        if found == shape and dtype == np.uint8 and os.fstat(file.fileno()).st_size == end + shape[0] * _SUM.itemsize:
            return _Part(path, file, first, np.frombuffer(os.pread(file.fileno(), shape[0] * _SUM.itemsize, end), _SUM))
    except (OSError, ValueError, SyntaxError, EOFError):
        pass
    file.close()
    return None


def _damaged(bucket: int, row: int) -> DataError:
    return DataError(
        f"The decoded picture of row {row} of shard {bucket:02x}.parquet is damaged on the disk.",
        "Run the same command again: that shard is decoded anew, and an interrupted training goes on where it was.",
    )
