"""What an import carries over from the store that it replaces: who was erased."""

from dataclasses import dataclass
from pathlib import Path

from tmu.data.index import Index
from tmu.data.info import STORE_FILE, StoreInfo, read_info, shard_paths
from tmu.data.keys import Keys
from tmu.data.shards import read_facts
from tmu.errors import DataError


@dataclass(frozen=True)
class Tombstones:
    """Erased keys of the store that is replaced, by bucket: (records, subjects of whom nothing was left)."""

    by_bucket: dict[int, tuple[tuple[str, ...], tuple[str, ...]]]

    @property
    def records(self) -> frozenset[str]:
        """All erased record keys."""
        return frozenset(key for records, _ in self.by_bucket.values() for key in records)

    @property
    def subjects(self) -> frozenset[str]:
        """The keys of all subjects of whom every record was erased."""
        return frozenset(key for _, subjects in self.by_bucket.values() for key in subjects)


def remembered(destination: Path, info: StoreInfo, keys: Keys, *, replace: bool) -> Tombstones:
    """The tombstones of the store that gives way at `destination`, be they under a former secret of `keys`.

    Raises DataError where there is one and it may not be replaced, or where its tombstones cannot be carried over.
    """
    if not (destination / STORE_FILE).exists():
        if destination.exists() and any(destination.iterdir()):
            raise DataError(f"{destination} holds something that is not a store.", "Choose an empty folder.")
        return Tombstones({})
    if not replace:
        raise DataError(f"There is a store at {destination} already.", "Replace it explicitly, or import elsewhere.")
    was = read_info(destination)
    index = Index.build(destination)
    facts = [read_facts(path) for path in shard_paths(destination)]
    by_bucket = {
        shard.bucket: (shard.erased, tuple(filter(index.is_erased_subject, shard.erased_subjects)))
        for shard in facts
        if shard.erased
    }
    known = {each.id for each in keys.ring}
    if by_bucket and (was.key_id not in known or was.n_buckets != info.n_buckets):
        raise DataError(
            "The store to be replaced remembers erased records under another secret or number of buckets.",
            f"Use its secret and n_buckets={was.n_buckets}, so that they stay erased.",
        )
    if by_bucket and was.id_rule.fold_case != info.id_rule.fold_case:
        raise DataError(
            "The store to be replaced remembers erased people under another rule of letter case.",
            f"Import {'with' if was.id_rule.fold_case else 'without'} --fold-case, so that they stay erased.",
        )
    return Tombstones(by_bucket)
