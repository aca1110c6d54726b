"""Golds: what the model would be, had the forget set never been there."""

from flows.tell import tell
from tasks.models import train_gold
from tmu.deletion.deletion import Deletion
from tmu.refs import ModelRef
from tmu.workspace import Workspace


def golds_of(workspace: Workspace, deletion: Deletion, runs: int, first: int = 0) -> list[ModelRef]:
    """One task a gold, by the deletion's own parameters."""
    tell(f"Training {runs} golds, without the forgotten records")
    data, forget, params = deletion.plan.data, deletion.forget, deletion.params
    return [train_gold(workspace, data, forget, params, run) for run in range(first, first + runs)]
