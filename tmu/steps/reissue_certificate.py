"""Issue a certificate that is missing after the deletion's end: once its purge and its search have passed."""

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.errors import GateError, RequestError
from tmu.ledger.place import has_ledger, opened
from tmu.ledger.schema import requests
from tmu.ledger.states import State
from tmu.purge.record import find_record
from tmu.search.report import Outcome
from tmu.steps.issue_certificate import Issued, NotIssued, issue_certificate
from tmu.steps.purge import scrub_purge
from tmu.steps.search_deletion import search_deletion
from tmu.steps.verify_erasure import open_searches, report_of
from tmu.workspace import Workspace


class Unanswered(NamedTuple):
    """A completed deletion that has no certificate because places did not answer its search. requests: the ledger's."""

    deletion: Deletion
    requests: tuple[str, ...]


def unanswered(workspace: Workspace) -> list[Unanswered]:
    """Those for which another search is due. One that is unanswered again waits as long again as it has waited so far.

    So a place that never answers is asked less and less often. What a search cannot know for a lasting cause is left to
    a person. One that passed is here where a crash came before its keys were destroyed: no other search is made then.
    """
    found = (Journal(workspace).known(each) for each in open_searches(workspace))
    due = [each for each in found if each is not None and _is_due(workspace, each, datetime.now(UTC))]
    return [Unanswered(each, _requests_of(workspace, each)) for each in due]


def _is_due(workspace: Workspace, deletion: Deletion, now: datetime) -> bool:
    report = report_of(workspace, deletion.id)
    if deletion.stage is not Stage.COMPLETED or report is None:
        return False
    if not report.unanswered and report.outcome is not Outcome.PASS:
        return False
    ended, looked = (datetime.fromisoformat(at) for at in (deletion.times[Stage.COMPLETED], report.finished))
    return now >= looked + (looked - ended)


def _requests_of(workspace: Workspace, deletion: Deletion) -> tuple[str, ...]:
    batch = deletion.asked.batch
    if not batch:
        return ()
    with opened(workspace) as ledger, ledger.read() as connection:
        mine = sa.select(requests.c.id).where(requests.c.batch_id == batch, requests.c.state == State.COMPLETED)
        return tuple(connection.scalars(mine.order_by(requests.c.id)))


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
