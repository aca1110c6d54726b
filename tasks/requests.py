"""Tasks: a request from a form: received, planned, decided."""

from tasks.common import step_task
from tmu.errors import RequestError
from tmu.ledger.errors import ConflictError, ForbiddenError
from tmu.ledger.states import State
from tmu.steps import form_request as step
from tmu.steps.form_request import Decision
from tmu.workspace import Workspace


@step_task("receive", cached=False)
def receive(home: str, request: str, who: str, people: list[str], records: list[str], *, urgent: bool) -> State:
    """Put the request on record, once."""
    return step.receive_form(Workspace.open(home), request, who, people, records, urgent=urgent)


@step_task("plan", cached=False)
def plan(home: str, request: str, method: str | None) -> State:
    """What it touches, bound by its hash."""
    return step.plan_form(Workspace.open(home), request, method)


@step_task("decide", cached=False)
def decide(home: str, request: str, decision: Decision) -> tuple[State, str]:
    """The state after the decision, and what was wrong with it, to be shown when the form is asked again."""
    try:
        return step.decide_form(Workspace.open(home), request, decision), ""
    except (RequestError, ConflictError, ForbiddenError) as error:
        return step.status(Workspace.open(home), request), str(error)


@step_task("status", cached=False)
def status(home: str, request: str) -> State:
    """Where the request is."""
    return step.status(Workspace.open(home), request)
