"""Flow `deadline-watch`: warn of dates that come near, send what waits, and show what is due.

Then it sees to it that `reconcile` can run, which may stand still behind a slot that was lost.
"""

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from infra.prefect_ops.reconcile import clean_up
from tasks.watch import send_notifications, watch_deadlines
from tmu.workspace import Workspace


@flow(name="deadline-watch")
def deadline_watch_flow(home: str = "") -> dict[str, Any]:
    """Check the dates of all open requests; returns the new warnings and the messages sent. Safe to repeat."""
    workspace = Workspace.open(home)
    watched, sent = watch_deadlines(workspace), send_notifications(workspace)
    rows = [dict(line) for line in watched.board] or [{"request": "none is open"}]
    create_table_artifact(
        table=rows, key="deadlines", description=f"{len(watched.board)} open requests, the most urgent first"
    )
    clean_up()
    return {"told": [dict(each) for each in watched.told], "sent": sent}
