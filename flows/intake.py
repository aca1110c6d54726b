"""Flow `intake`: put the request files in the inbox on record, and tell of it."""

from typing import Any

from prefect import flow

from tasks.intake import take_in_files
from tasks.watch_deadlines import send_notifications


@flow(name="intake")
def intake_flow(home: str = "") -> dict[str, Any]:
    """Take in what lies in `.tmu/inbox/`; returns counts. docs/ledger.md tells how to put a file there."""
    taken = take_in_files(home)
    return {"taken": taken, "sent": send_notifications(home)}
