"""Flow `intake`: put the request files in the inbox on record, and tell of it."""

from typing import Any

from prefect import flow

from tasks.watch import send_notifications, take_in_files
from tmu.workspace import Workspace


@flow(name="intake")
def intake_flow(home: str = "") -> dict[str, Any]:
    """Record the request files in `.tmu/inbox/`; returns counts. docs/ledger.md describes the files."""
    workspace = Workspace.open(home)
    taken = take_in_files(workspace)
    return {"taken": taken, "sent": send_notifications(workspace)}
