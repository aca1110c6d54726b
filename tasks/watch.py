"""Tasks that watch over the service: request files, dates, notifications, what a crash left."""

from tasks.common import step_task
from tmu.steps import reconcile as reconciling
from tmu.steps.ledger import send_notifications as sending
from tmu.steps.ledger import take_in_files as intake
from tmu.steps.ledger import watch_deadlines as watching
from tmu.steps.ledger.watch_deadlines import Watched
from tmu.steps.reconcile import Righted
from tmu.workspace import Workspace


@step_task("take-in-files", cached=False)
def take_in_files(workspace: Workspace) -> dict[str, int]:
    """Put the requests of the files in the inbox on record."""
    return intake.take_in_files(workspace)


@step_task("watch-deadlines", cached=False)
def watch_deadlines(workspace: Workspace) -> Watched:
    """Warn of dates that come near, and show the board."""
    return watching.watch_deadlines(workspace)


@step_task("send-notifications", cached=False)
def send_notifications(workspace: Workspace) -> dict[str, int]:
    """Deliver what waits in the outbox."""
    return sending.send_notifications(workspace)


@step_task("reconcile", cached=False)
def reconcile(workspace: Workspace) -> Righted:
    """Put right alias and runs that a crash left between ledger and registry."""
    return reconciling.reconcile(workspace)
