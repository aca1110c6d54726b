"""Guards of the data against being exchanged under the ledger: by an import, or by an old revision that is put back.

The store's tombstones keep erased records out, but they are part of the data: an old revision lacks the newest ones.
The ledger's memory lies elsewhere, so it can tell.
"""

from contextlib import closing

from tmu.data.info import STORE_FILE, read_info
from tmu.data.keys import to_hex
from tmu.data.store import RecordStore
from tmu.errors import DataError, RequestError
from tmu.ledger import batches
from tmu.ledger.entries import forgotten_keys, still_open
from tmu.ledger.holds import active
from tmu.ledger.place import has_ledger, open_ledger
from tmu.suppression.tombstones import Tombstones
from tmu.workspace import Workspace


def refuse_exchange(workspace: Workspace, dataset: str, key_id: str) -> None:
    """Raise RequestError where the ledger's open requests do not allow the data to be replaced by an import.

    While a batch is open nothing may be replaced: it works on the revision that was approved. While requests are open,
    their data may change (what changes of a plan voids its approval), but neither the name of the dataset nor the
    secret: under another one they would never be found again. Nor may the secret change while a legal hold names a
    person, whom it would cover no more. dataset, key_id: of what is to be imported.
    """
    if not has_ledger(workspace) or not (workspace.data / STORE_FILE).exists():
        return
    was = read_info(workspace.data)
    with closing(open_ledger(workspace)) as ledger, ledger.read() as connection:
        batch, waiting = batches.open_batch(connection, was.dataset), still_open(connection, was.dataset)
        held = [each for each in active(connection) if each["scope"] == "subject"]
    if batch is not None:
        raise RequestError(
            f"Batch {batch} of dataset {was.dataset} is open: it uses the current data.",
            "Let the nightly batch finish it, then import.",
        )
    if waiting and (was.dataset, was.key_id) != (dataset, key_id):
        raise RequestError(
            f"{waiting} requests for dataset {was.dataset} are open, and this import has another name or secret.",
            "They could not be found any more: import under the same name and secret, or into another workspace.",
        )
    if held and was.key_id != key_id:
        raise RequestError(
            f"{len(held)} legal holds name people by their keys, and this import has another secret.",
            "Place a hold on the dataset, release these, import, place them anew, and release the first.",
        )


def refuse_returned(workspace: Workspace) -> None:
    """Raise DataError where the data hold what was forgotten: an old revision was put back.

    Looked at are the tombstones of the workspace, and the ledger's requests as long as their keys are there. New
    records of a person who was forgotten are none of it: the store remembers that the old ones were erased.
    """
    if not (workspace.data / STORE_FILE).exists():
        return
    store = RecordStore.open(workspace.data)  # no cached index: an old part would link erased records to people
    _refuse_suppressed(workspace, store)
    if not has_ledger(workspace):
        return
    with closing(open_ledger(workspace)) as ledger, ledger.read() as connection:
        people, records = forgotten_keys(connection, store.info.dataset)
    if not people and not records:
        return
    index = store.index()
    n_people = sum(1 for key in people if len(index.find_subject(key)) and not index.is_erased_subject(key))
    n_records = len(index.find_records(records)[0]) if records else 0
    if n_people or n_records:
        raise DataError(
            f"The data hold {n_people} people and {n_records} single records whose deletion was completed.",
            "An old revision is in the workspace: restore data.dvc from git and run `dvc checkout data.dvc`.",
        )


def _refuse_suppressed(workspace: Workspace, store: RecordStore) -> None:
    back = Tombstones.of(workspace).suppressed(to_hex(store.index().record_keys))
    if back:
        raise DataError(
            f"The data hold {len(back)} records that were erased.",
            "An old revision is in the workspace: `tmu restore` erases again what was erased since; or restore "
            "data.dvc from git and run `dvc checkout data.dvc`.",
        )
