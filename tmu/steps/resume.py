"""Take a deletion back, or go on with it: what the data say decides, not what the journal remembers."""

from typing import NamedTuple

from tmu.data.index import Index
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.errors import DataError, RequestError
from tmu.files import discard
from tmu.steps.acknowledge import refuse_past_ledger
from tmu.steps.erase_data import prepared
from tmu.steps.erased_keys import erased_keys
from tmu.steps.loading import data_ref, forget_keys, open_store
from tmu.steps.suppress import take_back_pictures
from tmu.stores.lock import locked
from tmu.workspace import Workspace


class Found(NamedTuple):
    """Records of a forget set in the live data: how many there are in all, still there, and with a tombstone."""

    all: int
    present: int
    erased: int


def withdraw(workspace: Workspace, request: str) -> Deletion:
    """Take a request back of which not a byte was erased.

    Raises RequestError past the point of no return, while a process works on it, and for a batch of the ledger.
    """
    journal = Journal(workspace)
    _refuse_batch(journal.find(request), f"Cancel its requests: `tmu request cancel`; `tmu show request {request}`.")
    with journal.running():
        return take_back(workspace, journal.find(request))


def take_back(workspace: Workspace, deletion: Deletion) -> Deletion:
    """The same by whoever is at work on it. The revision that was prepared without the records goes, too.

    Pictures that were listed as erased are listed no more.
    """
    if not deletion.open:
        raise RequestError(f"Request {deletion.id} is {deletion.stage} already.", "There is nothing to withdraw.")
    found = look(workspace, deletion)
    if found.erased or deletion.has_reached(Stage.ERASED):
        raise RequestError(
            f"Request {deletion.id} is past the point of no return: {found.erased} of {found.all} records are erased "
            f"(stage `{deletion.stage}`).",
            f"Finish it: `tmu delete --resume {deletion.id}`.",
        )
    with locked(workspace.state("data.lock")):
        if prepared(workspace, deletion.forget).exists():
            discard(prepared(workspace, deletion.forget))
        take_back_pictures(
            workspace, open_store(workspace, data_ref(workspace)), forget_keys(workspace, deletion.forget)
        )
    return Journal(workspace).withdraw(deletion)


def resumed(workspace: Workspace, request: str, *, method: str | None = None, audited: bool = True) -> Deletion:
    """The unfinished deletion to go on with, as it was acknowledged.

    Raises RequestError for one that has ended, for what is the ledger's to decide, and where another method is named
    than in the request, or its audit left out.
    """
    deletion = Journal(workspace).find(request)
    if not deletion.open:
        raise RequestError(f"Request {request} is {deletion.stage} already.", "There is nothing to resume.")
    if not deletion.has_reached(Stage.ERASING):
        refuse_past_ledger(workspace)
    _refuse_batch(deletion, "The flow `reconcile` resumes it; after a failure, run `tmu ledger reopen` first.")
    if method not in (None, deletion.plan.choice.asked, deletion.plan.choice.method):
        raise RequestError(
            f"Request {request} was acknowledged with the method `{deletion.plan.choice.method}`, which stays.",
            "Leave out --method; or, if nothing was erased yet, withdraw the request and ask again.",
        )
    if deletion.audited and not audited:
        raise RequestError(f"Request {request} was acknowledged with an audit, which stays.", "Leave out --no-audit.")
    return deletion


def refuse_other_data(workspace: Workspace, deletion: Deletion) -> None:
    """Raise DataError where the live data are not those that the deletion was planned on, or its records are back."""
    found, bring = look(workspace, deletion), "check out its `data.dvc` with git, then `dvc checkout data.dvc`"
    if deletion.has_reached(Stage.ERASED):
        if found.present:
            raise DataError(
                f"{found.present} of {found.all} erased records are back in the data.",
                f"Restore the revision {deletion.data.digest}: {bring}; then run the same command again.",
            )
    elif not found.erased and data_ref(workspace).digest != deletion.plan.data.digest:
        raise DataError(
            f"The data are not the revision that request {deletion.id} was planned on.",
            f"Restore the revision {deletion.plan.data.digest}: {bring}; or withdraw the request and ask again.",
        )


def look(workspace: Workspace, deletion: Deletion) -> Found:
    """What the live data hold of the records to be erased, in the shards where they lay.

    No index of an earlier look is believed. In another shard they cannot be without another digest of the data.
    """
    keys = erased_keys(workspace, deletion)
    if keys is None:  # the purge was verified before it destroyed them
        return Found(0, 0, 0)
    index = Index.build(workspace.data, buckets=deletion.plan.shards)
    present = len(index.find_records(keys)[0])
    return Found(len(keys), present, sum(index.is_erased(key) for key in keys))


def _refuse_batch(deletion: Deletion, hint: str) -> None:
    if deletion.asked.batch:
        raise RequestError(f"Request {deletion.id} is batch {deletion.asked.batch} of the ledger.", hint)
