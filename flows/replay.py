"""Replay a deletion as a run of Prefect's: its unlearned model is computed anew and compared with the manifest."""

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.tell import tell
from tasks.evidence import replay
from tmu.workspace import Workspace

Id = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


@flow(name="replay")
def replay_flow(request: Id, home: str = ".") -> dict[str, Any]:
    """Replay a deletion.

    Args:
        request: Id of a deletion whose model was unlearned.
        home: Folder of the workspace.

    """
    found = replay(Workspace.open(home), request)
    tell(found.sentence)
    return found.model_dump(mode="json")
