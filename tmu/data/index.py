"""Where each record is: a table over all shards, derived from their key columns and cached outside the store.

The cache holds one Arrow file a shard, named by the digest of what it was derived from and memory-mapped when read,
so that after a deletion only the touched shards are read again. `prune` removes the files of shards that are gone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tmu.data.info import shard_path, shard_paths
from tmu.data.keys import KEY_DTYPE, from_hex, to_hex
from tmu.data.shards import ShardFacts, ShardKeys, keys_table, read_facts, read_keys, shard_keys
from tmu.files import write_atomic


@dataclass(frozen=True, eq=False)
class Index:
    """All records in ascending order of record key; every array (N,).

    `record_keys`, `subject_keys`: `S16`; `labels` int32; `splits` int8 (position in `SPLITS`); `buckets`, `rows`:
    shard and row in it. A position in these arrays is what `find_record` and `find_subject` return. `more_positions`,
    `more_subjects` (M,): records with further people and who they are. `alike`: see `ShardKeys`;
    `subject_marks`: all shards' `erased_subjects`.
    """

    record_keys: np.ndarray
    subject_keys: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    buckets: np.ndarray
    rows: np.ndarray
    erased: frozenset[str]
    subject_marks: frozenset[str]
    more_positions: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    more_subjects: np.ndarray = field(default_factory=lambda: np.empty(0, KEY_DTYPE))
    alike: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def build(
        cls, store: Path, cache: Path | None = None, *, keep: bool = True, buckets: Collection[int] | None = None
    ) -> "Index":
        """The index of a store; with `cache`, each shard's part is read from there or left there for next time.

        keep: False leaves nothing there. buckets: index these shards alone, and read no other.
        """
        paths = shard_paths(store) if buckets is None else [shard_path(store, bucket) for bucket in sorted(buckets)]
        facts = {path: read_facts(path) for path in paths}
        shards = [_cached(path, fact, cache, keep=keep) if cache else read_keys(path) for path, fact in facts.items()]

        def joined(name: str, dtype: np.dtype | type) -> np.ndarray:
            return np.concatenate([getattr(shard, name) for shard in shards] or [np.empty(0, dtype)])

        keys = joined("record_keys", KEY_DTYPE)
        order = np.argsort(keys)
        counts = [len(shard.record_keys) for shard in shards]
        buckets = np.repeat(np.array([shard.bucket for shard in shards], np.int32), counts)
        rows = np.concatenate([np.arange(count, dtype=np.int32) for count in counts] or [np.empty(0, np.int32)])
        starts = np.cumsum([0, *counts])[:-1]
        more = [shard.more_rows + start for shard, start in zip(shards, starts, strict=True)]
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return cls(
            record_keys=keys[order],
            subject_keys=joined("subject_keys", KEY_DTYPE)[order],
            labels=joined("labels", np.int32)[order],
            splits=joined("splits", np.int8)[order],
            buckets=buckets[order],
            rows=rows[order],
            more_positions=place[np.concatenate([*more, np.empty(0, np.int64)]).astype(np.int64)],
            more_subjects=joined("more_subjects", KEY_DTYPE),
            alike={key: value for fact in facts.values() for key, value in fact.alike.items()},
            erased=frozenset(key for fact in facts.values() for key in fact.erased),
            subject_marks=frozenset(key for fact in facts.values() for key in fact.erased_subjects),
        )

    def __len__(self) -> int:
        return len(self.record_keys)

    @cached_property
    def _by_subject(self) -> tuple[np.ndarray, np.ndarray]:
        positions = np.concatenate([np.arange(len(self)), self.more_positions])
        subjects = np.concatenate([self.subject_keys, self.more_subjects])
        order = np.lexsort((positions, subjects))
        return positions[order], subjects[order]

    def find_record(self, record_key: str) -> np.ndarray:
        """Position of a record, int64 (1,), or (0,) if it is not in the store."""
        return self.find_records([record_key])[0]

    def find_records(self, record_keys: Collection[str]) -> tuple[np.ndarray, list[str]]:
        """Positions of those of the records that are in the store, ascending, and the keys of the others."""
        wanted = np.unique(from_hex(record_keys))
        places = np.searchsorted(self.record_keys, wanted)
        inside = places < len(self)
        found = np.zeros(len(wanted), bool)
        found[inside] = self.record_keys[places[inside]] == wanted[inside]
        return places[found], to_hex(wanted[~found])

    def find_subject(self, subject_key: str) -> np.ndarray:
        """Positions of all records of a subject, ascending; (0,) if there are none."""
        order, subjects = self._by_subject
        wanted = from_hex([subject_key])
        first, last = np.searchsorted(subjects, wanted, "left")[0], np.searchsorted(subjects, wanted, "right")[0]
        return order[first:last]

    def people_behind(self, record_keys: Collection[str]) -> list[str]:
        """Subject keys (hex), each once, of all people in those of the records that are in the store."""
        return self.people_at(self.find_records(record_keys)[0])

    def people_at(self, positions: np.ndarray) -> list[str]:
        """Subject keys (hex), each once, of all people in the records at positions."""
        further = self.more_subjects[np.isin(self.more_positions, positions)]
        return to_hex(np.unique(np.concatenate([self.subject_keys[positions], further])))

    @cached_property
    def n_subjects(self) -> int:
        """How many people (a record without one counts as one)."""
        return len(np.unique(np.concatenate([self.subject_keys, self.more_subjects])))

    @cached_property
    def _by_alike(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for subject, shared in self.alike.items():
            groups.setdefault(shared, []).append(subject)
        return groups

    def alike_to(self, subject_key: str) -> list[str]:
        """People (hex) with records here whose ids differ from this person's by case, blanks or width alone."""
        others = self._by_alike.get(self.alike.get(subject_key, ""), [])
        return sorted(key for key in others if key != subject_key and len(self.find_subject(key)))

    def keys_at(self, positions: np.ndarray) -> list[str]:
        """Record keys (hex) at positions."""
        return to_hex(self.record_keys[positions])

    def is_erased(self, record_key: str) -> bool:
        """Whether a record was erased from this store."""
        return record_key in self.erased

    def is_erased_subject(self, subject_key: str) -> bool:
        """Whether a subject had records here and all of them were erased."""
        # a mark in one shard is no end where another shard still holds a picture of them and others
        return subject_key in self.subject_marks and not len(self.find_subject(subject_key))

    @cached_property
    def erased_subjects(self) -> frozenset[str]:
        """All subjects of whom that is true."""
        return frozenset(key for key in self.subject_marks if self.is_erased_subject(key))


def dead(cache: Path, stores: Iterable[Path]) -> list[Path]:
    """The files of the cache that belong to no shard of `stores`."""
    live = {f"{read_facts(path).keys_digest}.arrow" for store in stores for path in shard_paths(store)}
    return [path for path in cache.glob("*.arrow") if path.name not in live]


def prune(cache: Path, stores: Iterable[Path]) -> int:
    """Remove from the cache what belongs to no shard of `stores`, and return the number of files removed.

    An old part still links erased records to their subject: prune after an erasure.
    """
    gone = dead(cache, stores)
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _cached(path: Path, facts: ShardFacts, cache: Path, *, keep: bool) -> ShardKeys:
    part = cache / f"{facts.keys_digest}.arrow"
    shard = _read_part(part, facts) if part.exists() else None
    if shard is None:
        shard = read_keys(path)
        if keep:
            _write_part(part, shard)
    return shard


def _write_part(part: Path, shard: ShardKeys) -> None:
    table = keys_table(shard)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    write_atomic(part, sink.getvalue().to_pybytes())


def _read_part(part: Path, facts: ShardFacts) -> ShardKeys | None:
    """The cached part, mapped into memory; None if it is not what its name says, so that it is made anew."""
    try:
        with pa.memory_map(str(part)) as source:
            shard = shard_keys(pa.ipc.open_file(source).read_all(), facts)
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    return shard if shard.keys_digest() == facts.keys_digest else None
