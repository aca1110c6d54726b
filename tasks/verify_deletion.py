"""Task: look again at what a deletion was to do."""

from typing import Any

from tasks.common import step_task
from tmu.steps import verify_deletion as step
from tmu.workspace import Workspace


@step_task("verify-deletion", cached=False)
def verify_deletion(home: str, entry: dict[str, Any]) -> list[str]:
    """What holds, in sentences."""
    return step.verify_deletion(Workspace.open(home), entry)
