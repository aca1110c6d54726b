"""A record store, opened for reading: arrays of a split, counts, the index, a full check, the revision's digest."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tmu.data.contents import Contents
from tmu.data.decoded import Decoded, Decoding
from tmu.data.digest import dvc_digest, md5_file
from tmu.data.index import Index
from tmu.data.info import STORE_FILE, StoreInfo, read_info, shard_path
from tmu.data.jpeg import decoder
from tmu.data.keys import Keys, key64, to_hex
from tmu.data.records import SPLITS
from tmu.data.shards import StoredShard, read_stored
from tmu.data.verify import verify_store
from tmu.errors import ConfigError, DataError, StorageError


@dataclass(frozen=True, eq=False)
class SplitArrays:
    """Records in ascending order of record key. `images` uint8 (N, C, H, W), `labels` int64 (N,), keys `S16` (N,)."""

    images: np.ndarray
    labels: np.ndarray
    record_keys: np.ndarray
    subject_keys: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def keys(self) -> list[str]:
        """Record keys, hex."""
        return to_hex(self.record_keys)

    @cached_property
    def key64(self) -> np.ndarray:
        """int64 (N,): the first 8 bytes of each record key (big-endian, reinterpreted as signed)."""
        return key64(self.record_keys)


class RecordStore:
    """A store folder. Open it with `RecordStore.open`."""

    def __init__(
        self,
        path: Path,
        info: StoreInfo,
        cache: Path | None,
        contents: Path | None = None,
        listed: Mapping[str, str] | None = None,
        keep: bool = True,
        decoding: Decoding | None = None,
    ) -> None:
        self.path, self.info, self._cache, self._pixels, self._listed = path, info, cache, contents, listed
        self._keep, self.decoding = keep, decoding

    @classmethod
    def open(
        cls,
        path: Path,
        keys: Keys | None = None,
        *,
        cache: Path | None = None,
        contents: Path | None = None,
        listed: Mapping[str, str] | None = None,
        keep: bool = True,
        decoding: Decoding | None = None,
    ) -> "RecordStore":
        """Open a store. With `keys`, `DataError` if it was built under another secret; `cache` keeps index parts,
        which are only read where `keep` is False.

        contents: where `note_contents` left the digests of the pictures; it is only read. listed: MD5 of each file, for
        a folder that nobody has hashed yet: images are only read from files that have theirs (StorageError). decoding:
        where the pictures of sets larger than memory are decoded to; without it every set is held in memory.
        """
        if listed is not None:
            _refuse_changed(path / STORE_FILE, STORE_FILE, listed)
        info = read_info(path)
        if keys is not None and keys.id != info.key_id:
            raise DataError(
                f"The store was built under another secret (key id {info.key_id}, given {keys.id}).",
                "Use the secret of the import; with another one no record would ever be found.",
            )
        return cls(path, info, cache, contents, listed, keep, decoding)

    def retiring(self, labels: Collection[int]) -> "RecordStore":
        """The same store as it will be when these classes are retired (`StoreInfo.retiring`)."""
        info = self.info.retiring(labels)
        return RecordStore(self.path, info, self._cache, self._pixels, self._listed, self._keep, self.decoding)

    @cached_property
    def _index(self) -> Index:
        return Index.build(self.path, self._cache, keep=self._keep)

    def index(self) -> Index:
        """The index, built on first use. It does not follow later changes of the folder: open the store again."""
        return self._index

    @cached_property
    def _contents(self) -> Contents:
        return Contents.build(self.path, self._index, self._pixels)

    def contents(self) -> Contents:
        """Which records hold the same picture, looked up on first use. StorageError where the store changed since."""
        return self._contents

    def load(self, split: str, *, without: Collection[str] = (), only: Collection[str] | None = None) -> SplitArrays:
        """The records of a split, less those `without`, and with `only`, no others (see `positions`).

        Memory: the result and one shard.
        """
        return self.at(self.positions(split, without=without, only=only))

    def positions(
        self, split: str, *, without: Collection[str] = (), only: Collection[str] | None = None
    ) -> np.ndarray:
        """Where the records of a split are in the index, less those `without`, and with `only`, no others; ascending.

        Keys of `only` that belong to another split are passed over; one that is not in the store at all is a
        `DataError`. Keys of `without` may be unknown (erased already).
        """
        if split not in SPLITS:
            raise ConfigError(f"There is no split `{split}`.", f"Use {', '.join(SPLITS)}.")
        index = self._index
        chosen = index.splits == SPLITS.index(split)
        if only is not None:
            places, unknown = index.find_records(only)
            if unknown:
                raise DataError(
                    f"{len(unknown)} of the wanted records are not in the store.", "Resolve the forget set again."
                )
            wanted = np.zeros(len(index), bool)
            wanted[places] = True
            chosen &= wanted
        chosen[index.find_records(without)[0]] = False
        return np.flatnonzero(chosen)

    def at(self, positions: np.ndarray) -> SplitArrays:
        """The records at positions of the index, in that order, of whatever split. Memory: they and one shard."""
        index = self._index
        images = np.empty((len(positions), *self.info.shape), np.uint8)
        flat = images.reshape(len(positions), self.info.image_bytes)
        buckets, rows = index.buckets[positions], index.rows[positions]
        for bucket in np.unique(buckets):
            here = np.flatnonzero(buckets == bucket)
            shard = self._shard(int(bucket))
            if not np.array_equal(shard.record_keys[rows[here]], index.record_keys[positions[here]]):
                raise DataError("The store changed while it was being read.", "Run the same command again.")
            flat[here] = shard.cells.pixels(rows[here], check=self._decodes_otherwise)
        labels = index.labels[positions].astype(np.int64)
        return SplitArrays(images, labels, index.record_keys[positions], index.subject_keys[positions])

    def decoded(self, positions: np.ndarray) -> Decoded | None:
        """The pictures of the store in files, those at positions decoded; None where these fit into memory."""
        if self.decoding is None or len(positions) * self.info.image_bytes <= self.decoding.most:
            return None
        self._decoded.prepare(positions, self._pieces)
        return self._decoded

    @cached_property
    def _decoded(self) -> Decoded:
        assert self.decoding is not None
        return Decoded(self.path, self.info, self._index, self.decoding.folder)

    def _pieces(self, bucket: int) -> Iterator[np.ndarray]:
        yield from self._shard(bucket).cells.blocks(check=self._decodes_otherwise)

    @cached_property
    def _decodes_otherwise(self) -> bool:
        """Whether another decoder is at work than at the import, so that its pixels are compared with those of then."""
        return self.info.decoder not in (None, decoder())

    def _shard(self, bucket: int) -> StoredShard:
        path = shard_path(self.path, bucket)
        if self._listed is not None:
            _refuse_changed(path, path.relative_to(self.path).as_posix(), self._listed)
        return read_stored(path)

    def counts(self) -> dict[str, dict[str, int]]:
        """Records by split and class name."""
        index, classes = self._index, self.info.classes
        table = {}
        for code, split in enumerate(SPLITS):
            numbers = np.bincount(index.labels[index.splits == code], minlength=len(classes))
            table[split] = {name: int(number) for name, number in zip(classes, numbers, strict=True)}
        return table

    def verify(self) -> dict[str, Any]:
        """Read everything and check it (`tmu/data/verify.py`)."""
        return verify_store(self.path, self.info)

    def digest(self) -> str:
        """DVC's digest of the folder: the identity of this data revision."""
        return dvc_digest(self.path)


def _refuse_changed(path: Path, name: str, listed: Mapping[str, str]) -> None:
    if not path.is_file() or md5_file(path) != listed.get(name):
        raise StorageError(
            f"{name} of an older data revision is not what DVC's list of it says.",
            "Delete the object from DVC's cache and `dvc fetch`; then delete .tmu/revisions.",
        )
