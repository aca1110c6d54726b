"""The last thing of a deletion: the evidence of each request that it served is sealed, where it has a certificate."""

from collections.abc import Sequence
from typing import Any

from flows.tell import tell
from tasks.evidence import seal_evidence
from tmu.steps.seal_evidence import NotSealed
from tmu.workspace import Workspace


def sealed(workspace: Workspace, requests: Sequence[str]) -> list[dict[str, Any]]:
    """What became of each bundle, JSON-ready. What is not sealed does not undo the deletion."""
    found = [seal_evidence(workspace, request) for request in requests]
    for each in found:
        tell(f"{each.why} {each.hint}" if isinstance(each, NotSealed) else f"{each.files} files are in {each.store}.")
    return [each.model_dump(mode="json") for each in found]
