"""Task: put a version into service."""

from tasks.common import step_task
from tmu.refs import DataRef
from tmu.steps import promote_model as step
from tmu.steps.batch import Work
from tmu.steps.promote_model import Service
from tmu.workspace import Workspace


@step_task("promote", cached=False)  # its effect is outside the artifact store
def promote(home: str, data: DataRef, version: int, work: Work | None = None) -> Service:
    """Cut over, fenced by the batch's token."""
    return step.promote_model(Workspace.open(home), data, version, work)
