"""The guard of every erasure: what a legal hold covers is not touched, whoever asks and by whichever verb."""

from collections.abc import Collection

from tmu.data.info import read_info
from tmu.data.store import RecordStore
from tmu.ledger.errors import HeldError
from tmu.ledger.holds import held_among, subjects_of
from tmu.ledger.place import has_ledger, open_ledger, opened
from tmu.purge.scope import Scope
from tmu.workspace import Workspace


def refuse_purge(workspace: Workspace, scope: Scope) -> None:
    """Raise HeldError where a hold covers what is to be purged: it came when the erasing had begun.

    Without the keys (a purge's record without them) holds on its people cannot be told, those on the dataset can.
    """
    if not has_ledger(workspace):
        return
    with opened(workspace) as ledger, ledger.read() as connection:
        named = [key for request in scope.requests for key in subjects_of(connection, request)]
        held = held_among(connection, [("", read_info(workspace.data).dataset, [*scope.subjects, *named])])
    if held:
        raise HeldError(
            f"A legal hold covers request {scope.request}: what is left of its records stays until the release.",
            f"`tmu request list --holds` shows it. After the release: `tmu purge {scope.request} --yes`.",
        )


def refuse_held(workspace: Workspace, store: RecordStore, records: Collection[str]) -> None:
    """Raise HeldError where a hold covers the dataset or a person behind one of the record keys."""
    if not has_ledger(workspace):
        return
    people = store.index().people_behind(records)
    ledger = open_ledger(workspace)
    try:
        with ledger.read() as connection:
            held = held_among(connection, [("", store.info.dataset, people)])
    finally:
        ledger.close()
    if held:
        raise HeldError(
            "A legal hold covers this request: nothing was erased.",
            "`tmu request list --holds` shows it, `tmu request release` lifts it; put the request on record meanwhile "
            "with `tmu request receive`.",
        )
