"""Golds: what the model would be, had the forget set never been there."""

from flows.tell import tell
from tasks.train_gold import train_gold
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.workspace import Workspace


def golds_of(home: str, data: DataRef, forget: ForgetRef, runs: int, first: int = 0) -> list[ModelRef]:
    """One task a gold."""
    params = Workspace.open(home).params
    tell(f"Training {runs} golds, without the forgotten records")
    return [train_gold(home, data, forget, params, run) for run in range(first, first + runs)]
