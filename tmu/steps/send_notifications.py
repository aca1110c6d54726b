"""Send what waits in the outbox."""

from tmu.ledger.place import has_ledger
from tmu.notify.sender import deliver
from tmu.steps.batch import opened
from tmu.workspace import Workspace


def send_notifications(workspace: Workspace) -> dict[str, int]:
    """Deliver all messages that are due to the targets in the settings; see `deliver`. Empty without a ledger."""
    if not has_ledger(workspace):
        return {}
    with opened(workspace) as ledger:
        return deliver(ledger, workspace.settings)
