"""Task: put right what a crash left between ledger and registry."""

from tasks.common import step_task
from tmu.steps import reconcile as step
from tmu.steps.reconcile import Righted
from tmu.workspace import Workspace


@step_task("reconcile", cached=False)
def reconcile(home: str) -> Righted:
    """Alias and runs."""
    return step.reconcile(Workspace.open(home))
