"""Tasks on the ledger: a request from a form, and a batch's progress and evidence."""

from tasks.common import step_task
from tmu.deletion.deletion import Deletion
from tmu.errors import RequestError
from tmu.ledger.errors import ConflictError, ForbiddenError
from tmu.ledger.states import State
from tmu.steps.ledger import batch
from tmu.steps.ledger import begin_erasing as step
from tmu.steps.ledger import form_request as form
from tmu.steps.ledger import plan_batch as planning
from tmu.steps.ledger.batch import Lane, Outcome, Work
from tmu.steps.ledger.form_request import Decision
from tmu.workspace import Workspace


@step_task("receive", cached=False)
def receive(
    workspace: Workspace, request: str, who: str, people: list[str], records: list[str], *, urgent: bool
) -> State:
    """Put the request on record, once."""
    return form.receive_form(workspace, request, who, people, records, urgent=urgent)


@step_task("plan", cached=False)
def plan(workspace: Workspace, request: str, method: str | None) -> State:
    """What it touches, bound by its hash."""
    return form.plan_form(workspace, request, method)


@step_task("decide", cached=False)
def decide(workspace: Workspace, request: str, decision: Decision) -> tuple[State, str]:
    """The state after the decision, and what was wrong with it, to be shown when the form is asked again."""
    try:
        return form.decide_form(workspace, request, decision), ""
    except (RequestError, ConflictError, ForbiddenError) as error:
        return form.status(workspace, request), str(error)


@step_task("status", cached=False)
def status(workspace: Workspace, request: str) -> State:
    """Where the request is."""
    return form.status(workspace, request)


@step_task("take-work", cached=False)
def take_work(workspace: Workspace, lane: Lane, run: str | None) -> Work | None:
    """Begin an attempt at the open batch, or at a new one."""
    return batch.take_work(workspace, lane, run)


@step_task("plan-batch", cached=False)  # the journal is its memory
def plan_batch(workspace: Workspace, work: Work) -> Deletion | None:
    """The deletion of the batch; None where all was erased before."""
    return planning.plan_batch(workspace, work)


@step_task("reach", cached=False)
def reach(workspace: Workspace, work: Work, state: State) -> None:
    """The batch has come to a state."""
    batch.reach(workspace, work, state)


@step_task("begin-erasing", cached=False)
def begin_erasing(workspace: Workspace, work: Work) -> None:
    """The ledger's last look at its legal holds before the first byte goes."""
    step.begin_erasing(workspace, work)


@step_task("prove", cached=False)
def prove(workspace: Workspace, work: Work, kind: str, uri: str, digest: str) -> None:
    """Attach evidence to the batch's requests."""
    batch.prove(workspace, work, kind, uri, digest)


@step_task("finish", cached=False)
def finish(workspace: Workspace, work: Work, outcome: Outcome, reason: str | None = None) -> None:
    """End the attempt."""
    batch.finish(workspace, work, outcome, reason)


@step_task("stand-back", cached=False)
def stand_back(workspace: Workspace, work: Work) -> list[str]:
    """End the attempt before anything was erased; the requests that a legal hold covers."""
    return batch.stand_back(workspace, work)
