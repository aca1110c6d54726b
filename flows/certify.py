"""The end of a deletion for a stranger: the independent search, then the certificate."""

from collections.abc import Sequence
from typing import Any

from flows.purge import keys_destroyed
from flows.report import show_certificates
from flows.tell import tell
from tasks.certificate import issue_certificate, search_deletion, tell_of_purge
from tmu.deletion.deletion import Deletion
from tmu.search.report import Outcome, SearchReport
from tmu.steps.issue_certificate import Issued, NotIssued, NotYetIssuedError
from tmu.steps.search_deletion import UnansweredError
from tmu.steps.stored_certificate import stored
from tmu.steps.unnamed_issuer import unnamed_issuer
from tmu.workspace import Workspace

_SHOWN = 10  # files on the page of a batch; the others are fetched


def certified(
    workspace: Workspace, deletion: Deletion, requests: Sequence[str], checked: list[str]
) -> list[dict[str, Any]]:
    """Tell the consumers, search, destroy the keys that the search needed, and issue.

    A certificate that is refused stops nothing: the run says why. Neither does a store that stays away longer than the
    tasks try: `reconcile` searches again.

    Where the search does not pass, the keys stay: without them nobody could search again (`tmu certificate issue`).
    requests: the ledger's; none: the deletion is the request. checked: what the verification saw to hold, in sentences.
    """
    if deletion.purged is not None and deletion.purged.verified:
        tell_of_purge(workspace, deletion)
        tell("Searching all stores independently of the purge")
        report = _searched(workspace, deletion)
        if report is not None and report.outcome is Outcome.PASS:
            keys_destroyed(workspace, deletion)
    lacks = unnamed_issuer(workspace.settings)
    if lacks is not None:
        tell(lacks)
    issued = _issued(workspace, deletion, requests, checked)
    written = [each for each in issued if isinstance(each, Issued)][:_SHOWN]
    files = {each.request: stored(workspace, each.request).read_text() for each in written}
    show_certificates(issued, files, workspace.settings.api_url)
    return [each.model_dump(mode="json") for each in issued]


def _searched(workspace: Workspace, deletion: Deletion) -> SearchReport | None:
    try:
        return search_deletion(workspace, deletion)
    except UnansweredError as error:
        tell(error.what)
        return None


def _issued(
    workspace: Workspace, deletion: Deletion, requests: Sequence[str], checked: list[str]
) -> list[Issued | NotIssued]:
    try:
        return issue_certificate(workspace, deletion, requests, checked)
    except NotYetIssuedError as error:
        return error.issued
