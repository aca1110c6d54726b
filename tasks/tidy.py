"""Task: remove what was only needed on the way."""

from tasks.common import step_task
from tmu.steps import tidy as step
from tmu.workspace import Workspace


@step_task("tidy", cached=False)
def tidy(home: str) -> dict[str, int]:
    """Counts of what was removed."""
    return step.tidy(Workspace.open(home))
