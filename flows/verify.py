"""Flow `verify`: the regular check of audit log, record store and models. It fails where something does not hold."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from tasks.verify import verify_all
from tasks.watch import send_notifications
from tmu.errors import DataError
from tmu.steps.verify_all import Verified
from tmu.workspace import Workspace


@flow(name="verify")
def verify_flow(home: str = "") -> dict[str, Any]:
    """Check everything; returns the head of the audit log, to be kept where its administrators cannot write.

    Raises DataError naming what does not hold, after it was announced.
    """
    workspace = Workspace.open(home)
    verified = verify_all(workspace)
    create_markdown_artifact(
        markdown=_page(verified), key="verification", description="Results of the verification, and the log's head"
    )
    send_notifications(workspace)
    if verified.broken:
        raise DataError(
            f"Verification failed: {', '.join(verified.broken)}.", "See the run's artifact, and compare with a backup."
        )
    return {"head": verified.head, "checks": {check.name: check.found for check in verified.checks}}


def _page(verified: Verified) -> str:
    word = {True: "passed", False: "**failed**"}
    rows = [f"| {check.name} | {word[check.holds]} | {check.found} |" for check in verified.checks]
    head = f"`{verified.head}`" if verified.head else "none"
    return "\n".join([f"Head of the audit log: {head}", "", "| check | result | found |", "|---|---|---|", *rows, ""])
