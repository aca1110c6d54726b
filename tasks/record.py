"""Tasks: put a batch's progress and evidence into the ledger."""

from tasks.common import step_task
from tmu.ledger.states import State
from tmu.steps import batch as step
from tmu.steps.batch import Lane, Outcome, Work
from tmu.workspace import Workspace


@step_task("take-work", cached=False)
def take_work(home: str, lane: Lane, run: str | None) -> Work | None:
    """Begin an attempt at the open batch, or at a new one."""
    return step.take_work(Workspace.open(home), lane, run)


@step_task("reach", cached=False)
def reach(home: str, work: Work, state: State) -> None:
    """The batch has come to a state."""
    step.reach(Workspace.open(home), work, state)


@step_task("prove", cached=False)
def prove(home: str, work: Work, kind: str, uri: str, digest: str) -> None:
    """Attach evidence to the batch's requests."""
    step.prove(Workspace.open(home), work, kind, uri, digest)


@step_task("finish", cached=False)
def finish(home: str, work: Work, outcome: Outcome, reason: str | None = None) -> None:
    """End the attempt."""
    step.finish(Workspace.open(home), work, outcome, reason)


@step_task("stand-back", cached=False)
def stand_back(home: str, work: Work) -> list[str]:
    """End the attempt before anything was erased; the requests that a legal hold covers."""
    return step.stand_back(Workspace.open(home), work)
