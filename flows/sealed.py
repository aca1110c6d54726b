"""The last things of a deletion: the evidence of each request is sealed, and a copy of the tombstones kept outside."""

from collections.abc import Sequence
from typing import Any

from flows.tell import tell
from tasks.evidence import copy_tombstones, seal_evidence
from tmu.steps.seal_evidence import NotSealed
from tmu.workspace import Workspace


def sealed(workspace: Workspace, requests: Sequence[str]) -> list[dict[str, Any]]:
    """What became of each bundle, JSON-ready. What is not sealed, or not copied, does not undo the deletion."""
    found = [seal_evidence(workspace, request) for request in requests]
    for each in found:
        tell(f"{each.why} {each.hint}" if isinstance(each, NotSealed) else f"{each.files} files are in {each.store}.")
    copied = copy_tombstones(workspace)
    if copied is not None:
        went = f"was not copied ({copied.error}); the next deletion tries again" if copied.error else "is copied"
        tell(f"The tombstones' file {went}: {copied.place}.")
    return [each.model_dump(mode="json") for each in found]
