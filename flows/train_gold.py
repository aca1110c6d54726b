"""Golds: what the model would be, had the forget set never been there."""

from flows.tell import tell
from tasks.models import train_golds
from tmu.deletion.deletion import Deletion
from tmu.refs import ModelRef
from tmu.steps.cases import GoldsCase
from tmu.workspace import Workspace


def golds_of(workspace: Workspace, deletion: Deletion, runs: int, first: int = 0) -> list[ModelRef]:
    """By the deletion's own parameters; side by side where that is worth it."""
    tell(f"Training {runs} golds, without the forgotten records")
    numbers = tuple(range(first, first + runs))
    case = GoldsCase(data=deletion.plan.data, forget=deletion.forget, params=deletion.params, runs=numbers)
    return train_golds(workspace, case)
