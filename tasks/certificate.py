"""Tasks of the certificate: the independent search before it, and its issue. Each may be repeated."""

from collections.abc import Sequence

from tasks.common import step_task
from tmu.deletion.deletion import Deletion
from tmu.search.report import SearchReport
from tmu.steps import issue_certificate as issuing
from tmu.steps import search_deletion as searching
from tmu.steps import tell_consumers as telling
from tmu.steps.issue_certificate import Issued, NotIssued
from tmu.workspace import Workspace


@step_task("inventory-deletion", cached=False)
def inventory_of(workspace: Workspace, deletion: Deletion) -> None:
    """The independent search before the purge. Raises UnansweredError: it is tried again."""
    searching.refuse_unanswered(searching.inventory_of(workspace, deletion))


@step_task("search-deletion", cached=False)
def search_deletion(workspace: Workspace, deletion: Deletion) -> SearchReport | None:
    """The independent search for what the deletion was about. Raises UnansweredError: it is tried again."""
    report = searching.search_deletion(workspace, deletion)
    searching.refuse_unanswered(report.unanswered if report else ())
    return report


@step_task("tell-consumers", cached=False)
def tell_of_purge(workspace: Workspace, deletion: Deletion) -> None:
    """Who uses the models is told which versions are withdrawn."""
    telling.tell_of_purge(workspace, deletion.id)


@step_task("issue-certificate", cached=False)
def issue_certificate(
    workspace: Workspace, deletion: Deletion, requests: Sequence[str], found: Sequence[str]
) -> list[Issued | NotIssued]:
    """A certificate for each request that the deletion serves, or why there is none.

    Raises NotYetIssuedError where a store refused: it is tried again.
    """
    issued = issuing.issue_certificate(workspace, deletion, requests, found)
    issuing.refuse_not_yet(issued)
    return issued
