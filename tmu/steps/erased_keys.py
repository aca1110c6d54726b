"""The keys of the records that a deletion erased, wherever they still are."""

from contextlib import suppress

from tmu.deletion.deletion import Deletion
from tmu.errors import StorageError
from tmu.purge.record import find_record
from tmu.steps.loading import forget_keys
from tmu.workspace import Workspace


def erased_keys(workspace: Workspace, deletion: Deletion) -> frozenset[str] | None:
    """Record keys: from the purge's record, from the forget set, or from the tombstones in the data that tell of them.

    None where the purge destroyed the first two and nothing remembers them. Raises RequestError where the data are from
    before the erasure.
    """
    record = find_record(workspace, deletion.id)
    if record is None:
        return forget_keys(workspace, deletion.forget)
    if record.scope and record.has_keys:
        return frozenset(record.scope.records)
    with suppress(StorageError):
        return forget_keys(workspace, deletion.forget)
    return None
