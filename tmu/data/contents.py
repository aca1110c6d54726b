"""Which records hold the same picture, or one that looks like it: beside each key, a digest of the pixels and a look.

One file a shard, 80 bytes a record, named by the shard's key digest and by inode, size and time of its file (the rule
by which DVC takes a file to be unchanged). What is cached belongs to records in the store: `prune` removes the rest.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tmu.data.cells import LOOK_BYTES
from tmu.data.index import Index
from tmu.data.info import read_info, shard_paths
from tmu.data.keys import KEY_DTYPE
from tmu.data.near import like_any
from tmu.data.records import SPLITS
from tmu.data.shards import read_facts, read_stored
from tmu.errors import StorageError
from tmu.files import digest_of, write_atomic

_SEAL = 16
_SUFFIX = ".looks"
_OLD = ".pixels"
"""What files without looks ended in; they belong to nothing any more."""
_ROW = np.dtype([("digest", KEY_DTYPE), ("look", "u1", LOOK_BYTES)])


@dataclass(frozen=True, eq=False)
class Contents:
    """The pictures of a store by content, in the index's order: `values` (N,) `S16`, the digest of each record; `looks`
    (N, 64) uint8, packed.
    """

    index: Index
    values: np.ndarray
    looks: np.ndarray

    @classmethod
    def build(cls, store: Path, index: Index, cache: Path | None) -> "Contents":
        """Of all records: from the cache where it has them, else from the images; nothing is written.

        Raises StorageError where the store is no longer the one that was indexed.
        """
        rows = np.empty(len(index), _ROW)
        for path in shard_paths(store):
            here = np.flatnonzero(index.buckets == read_facts(path).bucket)
            found = _read(_part(path, cache)) if cache else None
            if found is None:
                found = _of_shard(path, store)
            if len(here) != len(found):
                raise StorageError("The store changed while it was being read.", "Run the same command again.")
            rows[here] = found[index.rows[here]]
        return cls(index, np.ascontiguousarray(rows["digest"]), np.ascontiguousarray(rows["look"]))

    def like(self, positions: np.ndarray) -> np.ndarray:
        """Positions of the records whose picture looks like one of those at `positions` and is not the same; these
        left out. Ascending. The cost is bounded (`tmu/data/near.py`).
        """
        found = like_any(self.looks, self.looks[positions])
        found[positions] = False
        found[self.copies_of(positions)] = False
        return np.flatnonzero(found)

    @cached_property
    def _by_value(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions by ascending digest, the digests, and records of each split before each place (N+1, S)."""
        order = np.argsort(self.values, kind="stable")
        splits = self.index.splits[order][:, None] == np.arange(len(SPLITS))
        return order, self.values[order], np.concatenate([np.zeros((1, len(SPLITS)), np.int64), splits.cumsum(0)])

    def copies_by_split(self, positions: np.ndarray) -> np.ndarray:
        """How many records of each split (S,) hold a picture of those at `positions` (each once), these left out."""
        _, _, before = self._by_value
        first, last = self._ranges(positions)
        there = (before[last] - before[first]).sum(0)
        return there - np.bincount(self.index.splits[positions], minlength=len(SPLITS))

    def copies_of(self, positions: np.ndarray) -> np.ndarray:
        """Positions of the records that hold a picture of those at `positions`, these left out; ascending."""
        order, _, _ = self._by_value
        first, last = self._ranges(positions)
        found = [order[start:end] for start, end in zip(first, last, strict=True)]
        return np.setdiff1d(np.concatenate([*found, np.empty(0, np.int64)]).astype(np.int64), positions)

    def _ranges(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wanted, (_, values, _) = np.unique(self.values[positions]), self._by_value
        return np.searchsorted(values, wanted, "left"), np.searchsorted(values, wanted, "right")


def note(store: Path, cache: Path) -> int:
    """Make the cache that of the store as it is now: add what it lacks, remove the rest. Returns how many went."""
    live = {_part(path, cache): path for path in shard_paths(store)}
    for part, path in live.items():
        if _read(part) is None:
            rows = _of_shard(path, store).tobytes()
            write_atomic(part, _seal(rows) + rows, private=True)
    return _remove(_dead(cache, live))


def dead(cache: Path, stores: Iterable[Path]) -> list[Path]:
    """What in the cache belongs to no shard of `stores`."""
    return _dead(cache, {_part(path, cache) for store in stores for path in shard_paths(store)})


def prune(cache: Path, stores: Iterable[Path]) -> int:
    """Remove from the cache what belongs to no shard of `stores`, and return the number of files removed."""
    return _remove(dead(cache, stores))


def _dead(cache: Path, live: Collection[Path]) -> list[Path]:
    return [path for suffix in (_SUFFIX, _OLD) for path in cache.glob(f"*{suffix}") if path not in live]


def _remove(dead: Collection[Path]) -> int:
    for path in dead:
        path.unlink(missing_ok=True)
    return len(dead)


def _part(path: Path, cache: Path) -> Path:
    facts, stat = read_facts(path), path.stat()
    return cache / f"{digest_of([facts.keys_digest, stat.st_ino, stat.st_size, stat.st_mtime_ns])}{_SUFFIX}"


def _of_shard(path: Path, store: Path) -> np.ndarray:
    """Rows of a shard's records: from columns of the shard where it has them, else from the pictures."""
    cells = read_stored(path).cells
    rows = np.empty(len(cells), _ROW)
    rows["digest"], rows["look"] = cells.digests(), cells.looks(read_info(store).shape)
    return rows


def _read(part: Path) -> np.ndarray | None:
    """The cached rows; None where there are none, or not those that were written."""
    try:
        raw = part.read_bytes()
    except OSError:
        return None
    seal, rows = raw[:_SEAL], raw[_SEAL:]
    return np.frombuffer(rows, _ROW) if seal == _seal(rows) else None


def _seal(values: bytes) -> bytes:
    return hashlib.blake2b(values, digest_size=_SEAL).digest()
