"""The guard of every erasure: what a legal hold covers is not touched, whoever asks and by whichever verb."""

from collections.abc import Collection

from tmu.data.store import RecordStore
from tmu.ledger.errors import HeldError
from tmu.ledger.holds import held_among
from tmu.ledger.place import has_ledger, open_ledger
from tmu.workspace import Workspace


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
