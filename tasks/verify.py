"""Task: check everything that must not change unseen."""

from tasks.common import step_task
from tmu.steps import verify_all as step
from tmu.steps.verify_all import Verified
from tmu.workspace import Workspace


@step_task("verify-all", cached=False)
def verify_all(home: str) -> Verified:
    """Audit log, record store and models."""
    return step.verify_all(Workspace.open(home))
