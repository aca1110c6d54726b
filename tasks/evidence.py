"""Tasks on the evidence of a deletion: keep it before the purge, seal it at the end, replay from it."""

from tasks.common import step_task
from tasks.progress import progress_of
from tmu.deletion.deletion import Deletion
from tmu.steps import copy_tombstones as copying
from tmu.steps import keep_evidence as keeping
from tmu.steps import replay as replaying
from tmu.steps import seal_evidence as sealing
from tmu.workspace import Workspace


@step_task("keep-evidence", cached=False)
def keep_evidence(workspace: Workspace, deletion: Deletion, requests: tuple[str, ...]) -> bool:
    """Write the manifest while all that it names is there; whether there is one."""
    return keeping.keep_evidence(workspace, deletion, requests) is not None


@step_task("seal-evidence", cached=False)
def seal_evidence(workspace: Workspace, request: str) -> sealing.Sealed | sealing.NotSealed:
    """Complete the bundle of a request, and store it where nothing is overwritten."""
    return sealing.seal_evidence(workspace, request)


@step_task("copy-tombstones", cached=False)
def copy_tombstones(workspace: Workspace) -> copying.Copied | None:
    """A copy of the tombstones goes to the bucket of the heads, where one is named."""
    return copying.copy_tombstones(workspace)


@step_task("replay", cached=False, gpu=True)  # a cached model would prove nothing
def replay(workspace: Workspace, request: str) -> replaying.Replayed:
    """Compute the unlearned model again and compare it."""
    return replaying.replay(workspace, request, progress=progress_of("replay"))
