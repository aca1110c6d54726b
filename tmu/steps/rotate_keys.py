"""The secrets of the keys: what each is used for, and one more.

A rotation changes nothing that is stored: data stay under the secret that they were imported under, until they are
imported again with `--replace`. From then on the current secret is theirs; the former ones still recognise who was
erased under them.
"""

from datetime import UTC, datetime

import sqlalchemy as sa

from tmu.config import Config
from tmu.data.info import STORE_FILE, read_info
from tmu.data.key_ring import KeyRing, Secret, write_ring
from tmu.ledger.place import has_ledger, opened
from tmu.ledger.schema import requests
from tmu.stores.lock import locked
from tmu.suppression.tombstones import Tombstones
from tmu.workspace import Workspace


class KeyUse(Config):
    """One secret. data: whether the data in the workspace are keyed under it. deletions: whose tombstones are.
    requests: of the ledger, by their keys.
    """

    version: int
    id: str
    made: str
    days: int
    current: bool
    data: bool
    deletions: int
    requests: int


def key_uses(workspace: Workspace) -> list[KeyUse]:
    """Every secret of the workspace's real people, the oldest first."""
    ring = workspace.key_ring
    info = read_info(workspace.data) if (workspace.data / STORE_FILE).exists() else None
    lines = Tombstones.of(workspace).all()
    asked = _requests(workspace)
    return [
        KeyUse(
            version=each.version,
            id=each.id,
            made=each.made,
            days=_days(each),
            current=each == ring.current,
            data=info is not None and info.key_id == each.id,
            deletions=len({line.request for line in lines if line.key_id == each.id}),
            requests=asked.get(each.id, 0) + (asked.get(None, 0) if each.version == 1 else 0),
        )
        for each in ring.secrets
    ]


def rotate_keys(workspace: Workspace) -> Secret:
    """Add a secret, which is current from then on; returns it. Raises StorageError where the file is not writable."""
    with locked(workspace.state("data.lock")):  # no import is under way
        ring: KeyRing = workspace.key_ring.rotated()
        write_ring(workspace.key_file, ring)
    return ring.current


def _requests(workspace: Workspace) -> dict[str | None, int]:
    if not has_ledger(workspace):
        return {}
    counted = sa.select(requests.c.key_id, sa.func.count()).where(requests.c.shredded_at.is_(None))
    with opened(workspace) as ledger, ledger.read() as connection:
        return dict(connection.execute(counted.group_by(requests.c.key_id)).tuples().all())


def _days(secret: Secret) -> int:
    return (datetime.now(UTC) - datetime.fromisoformat(secret.made)).days
