"""Issue a certificate that is missing after the deletion's end: once its purge and its search have passed."""

import sqlalchemy as sa

from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.errors import GateError, RequestError
from tmu.ledger.place import has_ledger, opened
from tmu.ledger.schema import requests
from tmu.purge.record import find_record
from tmu.search.report import Outcome
from tmu.steps.issue_certificate import Issued, NotIssued, issue_certificate
from tmu.steps.purge import scrub_purge
from tmu.steps.search_deletion import search_deletion
from tmu.workspace import Workspace


def issue_of(workspace: Workspace, request: str) -> Issued:
    """Issue the certificate of a completed request, by the ledger's id or the deletion's; what is there stays.

    Raises GateError where there is none, naming the reason.
    """
    deletion, by_ledger = deletion_of(workspace, request)
    if deletion.stage is not Stage.COMPLETED:
        raise RequestError(f"Request {request} is not completed.", "There is a certificate at its end.")
    _searched_again(workspace, deletion)
    (found,) = issue_certificate(workspace, deletion, [request] if by_ledger else [])
    if isinstance(found, NotIssued):
        raise GateError(found.why, found.hint)
    return found


def deletion_of(workspace: Workspace, request: str) -> tuple[Deletion, bool]:
    """The deletion that serves a request, and whether the request is the ledger's. Raises RequestError."""
    batch = None
    if has_ledger(workspace):
        with opened(workspace) as ledger, ledger.read() as connection:
            batch = connection.scalar(sa.select(requests.c.batch_id).where(requests.c.id == request))
    found = Journal(workspace).of_batch(batch) if batch else Journal(workspace).find(request)
    if found is None:
        raise RequestError(f"No deletion has served request {request}.", "`tmu request show` tells its state.")
    return found, batch is not None


def _searched_again(workspace: Workspace, deletion: Deletion) -> None:
    """Search while the keys are there; when it passes, they are destroyed."""
    record = find_record(workspace, deletion.id)
    if record is None or not record.has_keys or not record.verified:
        return
    report = search_deletion(workspace, deletion)
    if report is not None and report.outcome is Outcome.PASS:
        scrub_purge(workspace, deletion.id)
