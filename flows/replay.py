"""Flow `replay`: make the model of a deletion again and compare, on the machine that the flows run on."""

from typing import Any

from prefect import flow

from flows.tell import tell
from tasks.verify import replay
from tmu.workspace import Workspace


@flow(name="replay")
def replay_flow(request: str, home: str = ".") -> dict[str, Any]:
    """Make the unlearned model of a request again, from its manifest, and compare the weights.

    Args:
        request: Id of a completed deletion. After its purge the flow says what cannot be made again.
        home: Folder of the workspace.
    """
    found = replay(Workspace.open(home), request)
    for sentence in found.sentences:
        tell(sentence)
    return found.model_dump(mode="json")
