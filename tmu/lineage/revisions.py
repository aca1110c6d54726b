"""Which of some records a data revision held, by split: read from the touched shards' key columns alone."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from tmu.config import Config
from tmu.data.info import SHARD_FOLDER, STORE_FILE, shard_path
from tmu.data.keys import from_hex, to_hex
from tmu.data.records import SPLITS
from tmu.data.shards import read_keys
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Plan
from tmu.errors import DataError, StorageError
from tmu.workspace import Workspace


class Held(Config):
    """Records (keys) in a revision, by split. known: False where the revision cannot be read any more.

    Then it is taken for one that held them all, in the splits that they have elsewhere.
    """

    train: frozenset[str] = frozenset()
    holdout: frozenset[str] = frozenset()
    test: frozenset[str] = frozenset()
    known: bool = True

    @property
    def all(self) -> frozenset[str]:
        """Of all splits."""
        return self.train | self.holdout | self.test


class Revisions:
    """Looks some records up in data revisions. shards: the buckets that hold them in the revision `pattern`.

    pattern: a revision that can be read and held all of them; it tells their splits. None: all count as learned.
    freed: records by the revisions that are known to be without them, which need not be readable (`freed_by`).
    """

    def __init__(
        self,
        workspace: Workspace,
        records: Collection[str],
        shards: Collection[int],
        pattern: str | None,
        freed: Mapping[str, frozenset[str]] = MappingProxyType({}),
    ) -> None:
        self._freed = freed
        self._workspace, self._records, self._shards = workspace, frozenset(records), frozenset(shards)
        self._buckets: int | None = None
        self._found: dict[str, Held] = {}
        pattern_held = self._read(pattern) if pattern else None
        rest = self._records - (pattern_held.all if pattern_held else frozenset())
        self._assumed = Held(
            train=rest | (pattern_held.train if pattern_held else frozenset()),
            holdout=pattern_held.holdout if pattern_held else frozenset(),
            test=pattern_held.test if pattern_held else frozenset(),
            known=False,
        )
        if pattern and pattern_held:
            self._found[pattern] = pattern_held

    def held(self, digest: str) -> Held:
        """What a revision held of them."""
        if digest not in self._found:
            self._found[digest] = self._read(digest) or self._supposed(digest)
        return self._found[digest]

    def _supposed(self, digest: str) -> Held:
        """Of a revision that cannot be read: all that is not known to be gone from it."""
        gone = self._freed.get(digest, frozenset())
        if self._records <= gone:
            return Held()
        splits = {name: getattr(self._assumed, name) - gone for name in SPLITS}
        return Held(**splits, known=False)

    def people(self, digest: str) -> frozenset[str]:
        """Subject keys of everybody in the records; none where the revision cannot be read any more."""
        wanted, found = from_hex(self._records), frozenset[str]()
        for path in self.files(digest) or ():
            keys = read_keys(path)
            mine = np.isin(keys.record_keys, wanted)
            further = keys.more_subjects[mine[keys.more_rows]]
            found |= frozenset(to_hex(np.concatenate([keys.subject_keys[mine], further])))
        return found

    def _read(self, digest: str) -> Held | None:
        files = self.files(digest)
        try:
            return None if files is None else _splits(files, self._records)
        except DataError:
            return None

    def files(self, digest: str) -> list[Path] | None:
        """The shards that may hold the records; None where a part of the revision is gone or damaged."""
        try:
            files = self._workspace.versions.parts(digest, lambda name: name == STORE_FILE or self._is_wanted(name))
            if self._is_other(files[STORE_FILE]):
                files = self._workspace.versions.parts(digest, lambda name: name.startswith(f"{SHARD_FOLDER}/"))
            return [path for name, path in files.items() if name != STORE_FILE]
        except (StorageError, DataError, KeyError, OSError):
            return None

    def _is_wanted(self, name: str) -> bool:
        return name in {shard_path(Path(), bucket).as_posix() for bucket in self._shards}

    def _is_other(self, info: Path) -> bool:
        """Whether a revision has another number of buckets than the pattern: then the records lie in others."""
        buckets = _buckets(info)
        self._buckets = self._buckets or buckets
        return buckets != self._buckets


def freed_by(workspace: Workspace, deletion: Deletion, records: Collection[str]) -> dict[str, frozenset[str]]:
    """The revisions that follow a deletion, by the journal: the records it erased are in none of them.

    Their tombstones keep them from being imported again. Empty before the erasure.
    """
    erased = deletion.times.get(Stage.ERASED)
    if erased is None or deletion.data is None:
        return {}
    later = [each for each in Journal(workspace).all() if each.times[Stage.ACKNOWLEDGED] >= erased]
    refs = [deletion.data, *(ref for each in later for ref in (each.plan.data, each.data))]
    return {ref.digest: frozenset(records) for ref in refs if ref is not None}


def records_of(workspace: Workspace, plan: Plan, subjects: Collection[str]) -> frozenset[str] | None:
    """The records of people in the revision and the shards of a plan; None where it cannot be read any more."""
    files = Revisions(workspace, (), plan.shards, None).files(plan.data.digest)
    if files is None:
        return None
    wanted, found = from_hex(subjects), frozenset[str]()
    for path in files:
        keys = read_keys(path)
        mine = np.isin(keys.subject_keys, wanted)
        mine[keys.more_rows[np.isin(keys.more_subjects, wanted)]] = True
        found |= frozenset(to_hex(keys.record_keys[mine]))
    return found


def splits_in(folder: Path, shards: Collection[int], records: Collection[str]) -> Held:
    """The same for a record store in a folder; shards that it has not are passed by."""
    paths = [shard_path(folder, bucket) for bucket in sorted(shards)]
    return _splits([path for path in paths if path.is_file()], frozenset(records))


def _splits(shards: Collection[Path], records: frozenset[str]) -> Held:
    found: dict[str, frozenset[str]] = {name: frozenset() for name in SPLITS}
    wanted = from_hex(records)
    for path in shards:
        keys = read_keys(path)
        mine = np.isin(keys.record_keys, wanted)
        for code, name in enumerate(SPLITS):
            found[name] |= frozenset(to_hex(keys.record_keys[mine & (keys.splits == code)]))
    return Held(**found)


def _buckets(info: Path) -> int:
    return int(json.loads(info.read_bytes())["n_buckets"])
