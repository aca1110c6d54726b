"""Task: take in request files."""

from tasks.common import step_task
from tmu.steps import take_in_files as step
from tmu.workspace import Workspace


@step_task("take-in-files", cached=False)
def take_in_files(home: str) -> dict[str, int]:
    """Put the requests of the files in the inbox on record."""
    return step.take_in_files(Workspace.open(home))
