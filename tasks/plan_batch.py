"""Task: resolve a batch against the data."""

from typing import Any

from tasks.common import step_task
from tmu.steps import plan_batch as step
from tmu.steps.batch import Work
from tmu.workspace import Workspace


@step_task("plan-batch", cached=False)  # the journal is its memory
def plan_batch(home: str, work: Work) -> dict[str, Any] | None:
    """The journal's entry of the batch; None where all was erased before."""
    return step.plan_batch(Workspace.open(home), work)
