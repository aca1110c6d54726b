"""Flow `nightly-batch`: all requests that are approved by now, in one deletion. Later ones wait for the next."""

from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from flows.runs import BATCHES
from flows.serve_batch import serve
from flows.tell import tell, telling_of_failures
from tasks.watch import send_notifications
from tmu.words import counted
from tmu.workspace import Workspace


@flow(name=BATCHES)
def nightly_batch_flow(
    lane: Annotated[
        Literal["normal", "urgent"],
        Field(description="Which approved requests to serve; urgent ones are served in any case."),
    ] = "normal",
    home: Annotated[str, Field(description="Folder of the workspace; empty: the one of this installation.")] = "",
) -> list[dict[str, Any]]:
    """Serve approved requests; resumes a batch that was interrupted."""
    workspace = Workspace.open(home)
    with telling_of_failures("The batch"):
        outcomes = serve(workspace, lane)
    send_notifications(workspace)
    tell(f"Served: {counted(len(outcomes), 'batch', 'batches')}." if outcomes else "Nothing is approved and waiting.")
    return outcomes
