"""The keys of the records that a deletion erased, wherever they still are."""

from tmu.deletion.deletion import Deletion
from tmu.purge.record import find_record
from tmu.steps.loading import forget_keys
from tmu.workspace import Workspace


def erased_keys(workspace: Workspace, deletion: Deletion) -> frozenset[str] | None:
    """Record keys, from the purge's record, else from the forget set; None where the purge destroyed both."""
    record = find_record(workspace, deletion.id)
    if record is None:
        return forget_keys(workspace, deletion.forget)
    return frozenset(record.scope.records) if record.scope and record.has_keys else None
