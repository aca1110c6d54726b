"""Flow `train-gold`: what the model would be, had the forget set never been there."""

from prefect import flow

from flows.tell import tell
from tasks.train_gold import train_gold
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.journal import find_entry
from tmu.workspace import Workspace


@flow(name="train-gold")
def train_gold_flow(request: str, runs: int = 2, home: str = ".") -> list[ModelRef]:
    """Golds of a request (by its id): the first paired with the original, the others independent."""
    entry = find_entry(Workspace.open(home), request)
    return golds_of(
        home, DataRef.model_validate(entry["plan"]["data"]), ForgetRef.model_validate(entry["forget"]), runs
    )


def golds_of(home: str, data: DataRef, forget: ForgetRef, runs: int, first: int = 0) -> list[ModelRef]:
    """One task a gold."""
    params = Workspace.open(home).params
    tell(f"Training {runs} golds, without the forgotten records")
    return [train_gold(home, data, forget, params, run) for run in range(first, first + runs)]
