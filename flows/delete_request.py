"""Flow `delete`: a request from the form on Prefect's page, to its end.

The run puts the request on record, plans it, and suspends itself: it holds no process and no GPU while somebody looks
at the plan. Resumed, it starts anew from the top; every step finds what it did before.
"""

from typing import Annotated, Any, Literal

from prefect import flow
from prefect.flow_runs import suspend_flow_run
from pydantic import Field

from flows.approval import pause_key, question, show_request, was_asked
from flows.runs import suspending
from flows.serve_batch import serve
from flows.tell import tell, telling_of_failures
from tasks.ledger import decide, plan, receive, status
from tasks.watch import send_notifications
from tmu.config import AUTO
from tmu.ledger.intake import HexKey as Key
from tmu.ledger.intake import RequestId
from tmu.ledger.states import RUNNING, State
from tmu.unlearn import method_names
from tmu.workspace import Workspace

Method = Literal[("as configured", AUTO, *method_names())]  # a drop-down
TWO_WEEKS = 14 * 24 * 3600  # seconds that a plan waits for its approval


Request = Annotated[
    RequestId,
    Field(
        title="Request",
        description="The case number in your own system, such as `case-2026-17`. It is stored permanently "
        "and must not identify a person.",
    ),
]
RequestedBy = Annotated[
    str,
    Field(
        title="Requested by",
        pattern="^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Your user name in this service, such as `support-1`. The approver must be another person.",
    ),
]
People = Annotated[
    list[Key],
    Field(
        title="People",
        description="The keys of the people to delete, 32 hexadecimal digits each. "
        "`tmu plan --subject ID --keys-only` prints them. **No names or ids:** Prefect stores what is entered here.",
        max_length=100,
    ),
]
Records = Annotated[
    list[Key],
    Field(
        title="Single records",
        description="The keys of single records, if not all records of a person are meant. "
        "`tmu plan --record ID --keys-only` prints them.",
        max_length=1000,
    ),
]
Lane = Annotated[
    Literal["urgent: as soon as it is approved", "normal: in the next nightly batch"],
    Field(
        title="When",
        description="Nothing starts before the approval. Requests served together cost little more than one.",
    ),
]
HowMethod = Annotated[
    Method,
    Field(
        title="Method",
        description="How the model unlearns. `as configured`: as params.yaml says. `auto`: by a forecast of cost "
        "and risk. If a check fails, exact retraining takes over.",
    ),
]
Home = Annotated[str, Field(title="Workspace", description="Leave it empty: the workspace of this installation.")]


@flow(name="delete", flow_run_name="delete {request}")
def delete_request_flow(
    request: Request,
    requested_by: RequestedBy,
    people: People = [],  # noqa: B006 - Prefect shows it; nothing changes it
    records: Records = [],  # noqa: B006 - Prefect shows it; nothing changes it
    lane: Lane = "urgent: as soon as it is approved",
    method: HowMethod = "as configured",
    home: Home = "",
) -> dict[str, Any]:
    """Delete people and records from data and model: on record, planned, approved by a second person, done, audited.

    The run stops after planning and shows the plan; **Resume** opens the form for the approval.
    """
    with telling_of_failures(f"Request {request}"):
        urgent, workspace = lane.startswith("urgent"), Workspace.open(home)
        receive(workspace, request, requested_by, people, records, urgent=urgent)
        state = plan(workspace, request, None if method == "as configured" else method)
        send_notifications(workspace)
        state = _decided(workspace, request, state)
        tell(f"Request {request} is {_worded(state)}.")
        served = serve(workspace, "urgent") if urgent and state in (State.APPROVED, *RUNNING) else []
        send_notifications(workspace)
        ended = status(workspace, request)
        tell(f"Request {request} is {_worded(ended)}.")
        return {"request": request, "state": ended.value, "batches": served}


def _decided(workspace: Workspace, request: str, state: State) -> State:
    """Ask until somebody decides; the state then. Suspends the run, which starts anew from the top at each answer."""
    said, attempt = "", 0
    while state is State.AWAITING_APPROVAL:
        attempt += 1
        if was_asked(attempt + 1):
            continue  # this attempt's answer was not accepted, and is on record
        if not was_asked(1):
            show_request(workspace, request)
        with suspending():
            answer = suspend_flow_run(question(workspace, request, said), timeout=TWO_WEEKS, key=pause_key(attempt))
        state, said = decide(workspace, request, answer.as_decision())
        if said:
            tell(f"The answer was not accepted: {said}")
    return state


def _worded(state: State) -> str:
    return state.value.replace("_", " ")
