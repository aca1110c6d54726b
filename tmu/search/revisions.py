"""Which data revisions held the person: from DVC's listings and the shards that they name, read without DVC."""

from dataclasses import dataclass, field

from tmu.search.inventory import Revision
from tmu.search.look import listing_of
from tmu.search.sought import Rows


@dataclass
class Revisions:
    """Filled while things are looked at. known: what an inventory says of revisions that can be read no more."""

    known: dict[str, Revision] = field(default_factory=dict)
    _rows: dict[str, Rows] = field(default_factory=dict)  # by MD5 of each shard that was read
    _listings: dict[str, dict[str, str]] = field(default_factory=dict)  # by digest of the revision

    def note_shard(self, md5: str, rows: Rows) -> None:
        """A shard and what it holds of the person (perhaps nothing)."""
        self._rows[md5] = rows

    def note_listing(self, md5: str, content: bytes) -> bool:
        """A DVC listing, if the content is one."""
        found = listing_of(content)
        if found is not None:
            self._listings[f"{md5}.dir"] = found
        return found is not None

    def of(self, digest: str) -> Revision | None:
        """What a revision held; None where that cannot be told."""
        names = self._listings.get(digest)
        if names is None:
            return self.known.get(digest)
        shards = [md5 for name, md5 in names.items() if name.endswith(".parquet")]
        rows = [self._rows[md5] for md5 in shards if md5 in self._rows]
        if len(rows) < len(shards) and digest in self.known:
            return self.known[digest]
        if len(rows) < len(shards) and not any(rows):
            return None
        return Revision(train=sum(each.splits[0] for each in rows), rows=sum(sum(each.splits) for each in rows))

    def train_records(self) -> frozenset[str]:
        """Keys of the person's training records, in whatever revision."""
        return frozenset(key for rows in self._rows.values() for key in rows.train_records)

    def all_told(self) -> dict[str, Revision]:
        """What is known of each, for an inventory."""
        digests = {*self.known, *self._listings}
        return {digest: found for digest in sorted(digests) if (found := self.of(digest)) is not None}
