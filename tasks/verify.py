"""Tasks that check what was done: one deletion, or everything that must not change unseen."""

from tasks.common import step_task
from tmu.deletion.deletion import Deletion
from tmu.steps import verify_all as all_of_it
from tmu.steps import verify_deletion as one
from tmu.steps.verify_all import Verified
from tmu.workspace import Workspace


@step_task("verify-all", cached=False)
def verify_all(workspace: Workspace) -> Verified:
    """Audit log, record store and models."""
    return all_of_it.verify_all(workspace)


@step_task("verify-deletion", cached=False)
def verify_deletion(workspace: Workspace, deletion: Deletion) -> list[str]:
    """What holds after a deletion, in sentences."""
    return one.verify_deletion(workspace, deletion)
