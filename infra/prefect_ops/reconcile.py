"""Flow `reconcile`, every ten minutes: whatever a crash left half done is found and set going again.

Prefect's own view is put right first (runs whose process is gone), then the ledger decides: a
batch whose last attempt nobody is at work on is taken up again, once all stores answer. What a person cancelled waits
for the next nightly batch. Where nothing is to be done, a certificate that is missing because stores did not answer the
independent search is seen to.
"""

from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.states import StateType
from pydantic import Field

from flows.runs import about_to_serve, at_work, state_of
from flows.tell import tell
from infra.prefect_ops.urgent import DEPLOYMENT as URGENT
from infra.prefect_ops.zombies import crash, crash_orphans, find_zombies
from tasks.watch import reconcile, send_notifications
from tmu.errors import TmuError
from tmu.ledger.batches import Lane
from tmu.steps.ledger.batch import Waiting, approved, open_work
from tmu.steps.reconcile import stores_answer
from tmu.steps.reissue_certificate import unanswered
from tmu.workspace import Workspace

NIGHTLY = "nightly-batch/nightly-batch"


@flow(name="reconcile")
def reconcile_flow(
    home: Annotated[str, Field(description="Folder of the workspace; empty: the one of this installation.")] = "",
) -> dict[str, Any]:
    """Find what a crash left, repair it, and resume it."""
    found: dict[str, Any] = clean_up()
    workspace = Workspace.open(home)
    waiting = open_work(workspace)
    busy = waiting is not None and waiting.ended is None and at_work(waiting.run)
    away = None if busy else stores_answer(workspace)
    if away:
        found["waits for"] = away
    elif not busy:
        righted = reconcile(workspace)
        found |= {"alias restored to version": righted.alias, "abandoned MLflow runs ended": righted.runs}
        found["started"] = _set_going(workspace, waiting)
        if waiting is None and not found["started"]:
            found["searched again"] = _certify(workspace)
    send_notifications(workspace)
    tell(", ".join(f"{name}: {value}" for name, value in found.items()))
    rows = [{"what": name, "found": str(value)} for name, value in found.items()]
    create_table_artifact(table=rows, key="reconcile", description="What was found and fixed")
    return found


def clean_up() -> dict[str, Any]:
    """Put Prefect's own view right; what was found.

    `deadline-watch` does so, too: it has no limit of runs. This flow takes one run at a time, so that one whose worker
    died would stop it until the server frees its slot.
    """
    with get_client(sync_client=True) as client:
        zombies = find_zombies(client)
        for run in zombies:
            crash(client, run)
        crash_orphans(client)
        return {"runs whose process is gone": len(zombies)}


def _set_going(workspace: Workspace, waiting: Waiting | None) -> str | None:
    """Start a run for the open batch, or for urgent requests that were approved elsewhere; what was started."""
    lane = _lane(workspace, waiting)
    if lane is None:
        return None
    run_deployment(NIGHTLY if lane == "normal" else URGENT, parameters={"lane": lane}, timeout=0, as_subflow=False)
    return f"batch {waiting.batch}" if waiting else "urgent requests"


def _certify(workspace: Workspace) -> int:
    """Search again for the first deletion that waits for it, issue its certificates and seal them; how many waited.

    One that cannot be searched for at all, such as by a damaged inventory, keeps no other waiting.
    """
    due = unanswered(workspace)
    if due:
        from flows.certify import certified  # they need torch, and this flow seldom needs them
        from flows.sealed import sealed
    for deletion, requests in due:
        try:
            certified(workspace, deletion, requests, [])
            sealed(workspace, requests or (deletion.id,))
            break
        except TmuError as error:
            tell(f"Deletion {deletion.id} has no certificate yet: {error.what} {error.hint}")
    return len(due)


def _lane(workspace: Workspace, waiting: Waiting | None) -> Lane | None:
    if about_to_serve():
        return None
    if waiting is None:
        return "urgent" if approved(workspace, "urgent") else None
    if not waiting.left:
        tell(f"Batch {waiting.batch} has used all its attempts: a person must reopen it (`tmu ledger reopen`).")
        return None
    last = state_of(waiting.run)
    return None if last is not None and last.type is StateType.CANCELLED else waiting.lane
