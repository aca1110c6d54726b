"""Tasks of the purge: plan, act, check, and the end of its keys. Each may be repeated."""

from tasks.common import step_task
from tasks.progress import progress_of
from tasks.slots import DVC_WRITER
from tmu.deletion.deletion import Deletion
from tmu.purge.record import Record
from tmu.steps import purge as purging
from tmu.workspace import Workspace


@step_task("plan-purge", cached=False)
def plan_purge(workspace: Workspace, deletion: Deletion) -> Record:
    """Everything that the deletion left behind, and what is to become of it."""
    return purging.plan_purge(workspace, deletion)


@step_task("act-purge", cached=False, limit=DVC_WRITER)  # nobody else may write what it removes
def act_purge(workspace: Workspace, request: str) -> Record:
    """Destroy what is planned."""
    shown = progress_of("purge")
    return purging.act_purge(workspace, request, lambda done, total: shown(done, total, {}))


@step_task("check-purge", cached=False)
def check_purge(workspace: Workspace, request: str) -> Record:
    """Look at all stores again."""
    return purging.check_purge(workspace, request)


@step_task("scrub-purge", cached=False)
def scrub_purge(workspace: Workspace, request: str) -> Record:
    """Destroy the keys in the purge's record."""
    return purging.scrub_purge(workspace, request)
