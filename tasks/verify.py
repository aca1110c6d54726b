"""Tasks that check what was done: one deletion, or everything that must not change unseen."""

from tasks.common import step_task
from tmu.deletion.deletion import Deletion
from tmu.search.report import SearchReport
from tmu.steps import verify_all as all_of_it
from tmu.steps import verify_deletion as one
from tmu.steps import verify_erasure as everywhere
from tmu.steps.verify_all import Verified
from tmu.steps.verify_erasure import Erased
from tmu.workspace import Workspace


@step_task("verify-all", cached=False)
def verify_all(workspace: Workspace) -> Verified:
    """Audit log, record store and models."""
    return all_of_it.verify_all(workspace)


@step_task("verify-deletion", cached=False)
def verify_deletion(workspace: Workspace, deletion: Deletion) -> list[str]:
    """What holds after a deletion, in sentences."""
    return one.verify_deletion(workspace, deletion)


@step_task("search-before-purge", cached=False)
def take_inventory(workspace: Workspace, erased: Erased) -> int:
    """Where the person is before the purge."""
    return everywhere.take_inventory(workspace, erased)


@step_task("verify-erasure", cached=False)
def verify_erasure(workspace: Workspace, erased: Erased) -> SearchReport:
    """The independent search after the purge."""
    return everywhere.verify_erasure(workspace, erased)
