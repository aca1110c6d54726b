"""What a purge destroyed beside the data: remembered before the last keys go."""

from tmu.data.info import read_info
from tmu.purge.scope import Scope
from tmu.suppression.tombstones import Erased, Tombstones
from tmu.workspace import Workspace


def remember_purged(workspace: Workspace, scope: Scope) -> None:
    """Write the tombstones of a purge: its records and people, the models that learned them, other artifacts."""
    if not scope.records:
        return  # its keys went before, with a line of their own
    erased = Erased(
        request=scope.request,
        requests=scope.requests,
        key_id=read_info(workspace.data).key_id,
        before=scope.before.digest,
        after=scope.after.digest,
        records=scope.records,
        subjects=scope.subjects,
        weights=scope.learned,
        artifacts=scope.artifacts,
    )
    Tombstones.of(workspace).add(erased)
