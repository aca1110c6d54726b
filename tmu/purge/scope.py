"""`Scope`: what one purge is about. Nothing outside it is touched."""

from tmu.config import Config
from tmu.refs import DataRef


class Scope(Config):
    """What a purge looks for; made once, before the first byte goes, and kept in the purge's record until its end.

    request: the deletion's id. requests: the ledger's ids that it serves. records, subjects: keys (HMAC, hex), also of
    records that went with their subject. shards: the buckets that held them. before, after: the data's revisions.
    learned: SHA-256 of the weights of each model that learned them and is not unlearned. artifacts: addresses of the
    artifacts that hold them (`kind/key`, `file:PATH`). spared: addresses and weights' digests that stay in any case,
    such as what serves now.
    """

    request: str
    requests: tuple[str, ...] = ()
    records: tuple[str, ...]
    subjects: tuple[str, ...] = ()
    shards: tuple[int, ...] = ()
    before: DataRef
    after: DataRef
    learned: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()

    @property
    def every_key(self) -> frozenset[str]:
        """All keys that must be found nowhere afterwards."""
        return frozenset((*self.records, *self.subjects))
