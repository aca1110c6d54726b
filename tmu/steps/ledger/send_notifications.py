"""Send what waits in the outbox."""

from tmu.heads.places import places_of
from tmu.ledger.place import has_ledger, opened
from tmu.notify.sender import deliver
from tmu.workspace import Workspace


def send_notifications(workspace: Workspace) -> dict[str, int]:
    """Deliver what is due to the targets in the settings, and heads to their places. Empty without a ledger."""
    if not has_ledger(workspace):
        return {}
    with opened(workspace) as ledger:
        return deliver(ledger, workspace.settings, places_of(workspace))
