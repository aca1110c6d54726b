"""Tasks: look at the dates, and send what there is to tell."""

from tasks.common import step_task
from tmu.steps import send_notifications as sending
from tmu.steps import watch_deadlines as step
from tmu.steps.watch_deadlines import Watched
from tmu.workspace import Workspace


@step_task("watch-deadlines", cached=False)
def watch_deadlines(home: str) -> Watched:
    """Warn of dates that come near, and show the board."""
    return step.watch_deadlines(Workspace.open(home))


@step_task("send-notifications", cached=False)
def send_notifications(home: str) -> dict[str, int]:
    """Deliver what waits in the outbox."""
    return sending.send_notifications(Workspace.open(home))
