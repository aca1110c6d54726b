"""A request of the command line in a workspace with a ledger: received and planned there, once."""

import secrets

import sqlalchemy as sa

from tmu.config import Config
from tmu.data.info import read_info
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import RequestError
from tmu.ledger.actor import OPERATOR
from tmu.ledger.asked import named_keys
from tmu.ledger.intake import Intake, receive
from tmu.ledger.place import opened
from tmu.ledger.plans import PLANNABLE
from tmu.ledger.schema import request_keys, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.plan import Planner
from tmu.steps.store_keys import keys_of
from tmu.workspace import Workspace


class OnRecord(Config):
    """A request in the ledger: its id, state, and the hash of the plan in force."""

    request: str
    state: State
    plan_hash: str | None


def ask_ledger(workspace: Workspace, asked: Asked, method: str | None = None) -> OnRecord:
    """Put a request on record in the urgent lane and plan it. The same keys are the same request, whatever its state.

    A request whose keys were destroyed is nobody's any more: its id does not follow from them. method: plan it anew by
    that method, which voids an approval of another one. Raises RequestError where it cannot be honoured (see
    `Planner.plan`), and where all that it names was erased before.
    """
    if not asked:
        raise RequestError("The request names no person and no record.", "Give --subject, --record or --file.")
    info = read_info(workspace.data)
    keys = keys_of(workspace, info)
    with opened(workspace) as ledger:
        id_ = _same(ledger, info.dataset, asked) or _new_id(workspace, asked)
        intake = Intake(
            id=id_, dataset=info.dataset, subjects=asked.subjects, records=asked.records, urgent=True, source="cli"
        )
        state = receive(ledger, keys, intake, OPERATOR).state
        if state in (State.QUEUED, State.PLANNED) or (method and state in PLANNABLE):
            plan_request(workspace, ledger, id_, OPERATOR, method)
        return _on_record(ledger, id_)


def _same(ledger: Ledger, dataset: str, asked: Asked) -> str | None:
    """The newest request of the command line that names the very same keys."""
    any_key = [*asked.subjects, *asked.records][0]
    naming = sa.select(request_keys.c.request_id).where(request_keys.c.key == any_key, request_keys.c.named)
    mine = sa.and_(requests.c.source == "cli", requests.c.dataset == dataset, requests.c.id.like("cli-%"))
    wanted = sa.select(requests.c.id).where(mine, requests.c.id.in_(naming)).order_by(requests.c.received_at.desc())
    with ledger.read() as connection:
        for id_ in connection.scalars(wanted):
            if Asked.of(*named_keys(connection, id_)) == Asked.of(asked.subjects, asked.records):
                return str(id_)
    return None


def _new_id(workspace: Workspace, asked: Asked) -> str:
    """A random id. Raises RequestError where nothing is left of what is named: the receipt of it is no new request."""
    if not Planner(workspace).left_of(asked):
        unfinished = Journal(workspace).unfinished()
        hint = f"`tmu delete --resume {unfinished[0].id}` goes on with the unfinished deletion." if unfinished else ""
        raise RequestError("All that the request names was erased before.", hint or "Leave it out.")
    return f"cli-{secrets.token_hex(8)}"


def status_of(workspace: Workspace, request: str) -> State:
    """The state of a request."""
    with opened(workspace) as ledger:
        return _on_record(ledger, request).state


def _on_record(ledger: Ledger, request: str) -> OnRecord:
    with ledger.read() as connection:
        row = find(connection, request)
        return OnRecord(request=row.id, state=State(row.state), plan_hash=row.plan_hash)
