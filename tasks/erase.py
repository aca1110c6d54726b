"""Task: erase records from the data."""

from tasks.common import step_task
from tasks.slots import DVC_WRITER
from tmu.refs import DataRef, ForgetRef
from tmu.steps import erase_data as step
from tmu.workspace import Workspace


@step_task(
    "erase-data", cached=False, limit=DVC_WRITER
)  # the step itself is idempotent; a cached answer would not touch the data
def erase(home: str, data: DataRef, forget: ForgetRef) -> DataRef:
    """The data revision without the forget set."""
    return step.erase_data(Workspace.open(home), data, forget)
