"""A request of the command line in a workspace with a ledger: received and planned there, once."""

from tmu.config import Config
from tmu.data.info import read_info
from tmu.deletion.plan import Asked
from tmu.errors import RequestError
from tmu.files import canonical_json
from tmu.ledger.actor import OPERATOR
from tmu.ledger.intake import Intake, receive
from tmu.ledger.place import opened
from tmu.ledger.plans import PLANNABLE
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.store_keys import keys_of
from tmu.workspace import Workspace


class OnRecord(Config):
    """A request in the ledger: its id, state, and the hash of the plan in force."""

    request: str
    state: State
    plan_hash: str | None


def ask_ledger(workspace: Workspace, asked: Asked, method: str | None = None) -> OnRecord:
    """Put a request on record in the urgent lane and plan it. The same keys are the same request, whatever its state.

    method: plan it anew by that method, which voids an approval of another one. Raises RequestError where it cannot be
    honoured (see `Planner.plan`).
    """
    if not asked:
        raise RequestError("The request names no person and no record.", "Give --subject, --record or --file.")
    info = read_info(workspace.data)
    keys = keys_of(workspace, info)
    id_ = f"cli-{keys.payload(canonical_json([info.dataset, asked.subjects, asked.records]))[:16]}"
    intake = Intake(
        id=id_, dataset=info.dataset, subjects=asked.subjects, records=asked.records, urgent=True, source="cli"
    )
    with opened(workspace) as ledger:
        state = receive(ledger, keys, intake, OPERATOR).state
        if state in (State.QUEUED, State.PLANNED) or (method and state in PLANNABLE):
            plan_request(workspace, ledger, id_, OPERATOR, method)
        return _on_record(ledger, id_)


def status_of(workspace: Workspace, request: str) -> State:
    """The state of a request."""
    with opened(workspace) as ledger:
        return _on_record(ledger, request).state


def _on_record(ledger: Ledger, request: str) -> OnRecord:
    with ledger.read() as connection:
        row = find(connection, request)
        return OnRecord(request=row.id, state=State(row.state), plan_hash=row.plan_hash)
