"""Plan requests, and show the plan in force."""

import json
from typing import Any

from tmu.errors import RequestError
from tmu.ledger.plans import Bound, bound_plan
from tmu.ledger.transition import find
from tmu.service.bodies import PlanBody, PlansBody
from tmu.service.guard import Here
from tmu.service.problems import said
from tmu.service.requests import RequestId
from tmu.service.roles import STAFF, Role, Route


def make(request: RequestId, body: PlanBody, call: Here) -> dict[str, Any]:
    """Compute the plan of a request, bind it, and put it before the approver. Nothing else is written.

    A plan that says the same changes nothing; another one voids the approval of the one before (`voided`).
    """
    _refuse_unknown(body.method)
    from tmu.steps.ledger.bind_plans import plan_request  # torch: loaded by the first plan, not by the start

    with call.service.heavy.turn():
        bound = plan_request(call.service.workspace, call.ledger, request, call.actor, body.method)
    return {"request": request, **vars(bound)}


def make_many(body: PlansBody, call: Here) -> list[dict[str, Any]]:
    """The same for up to 10,000 requests, or for all that are queued, against one revision of the data.

    The answers come with their own `status`: 200, or 404, 409 or 422 with `what` and `hint`; a refusal does not touch
    the others.
    """
    _refuse_unknown(body.method)
    from tmu.steps.ledger.bind_plans import plan_requests

    with call.service.heavy.turn():
        answers = plan_requests(call.service.workspace, call.ledger, body.requests, call.actor, body.method)
    return [_answer(request, answer) for request, answer in answers.items()]


def show(request: RequestId, call: Here) -> dict[str, Any]:
    """The plan in force: records, shards, method, forecast of cost; and its hash, which an approval must name."""
    with call.ledger.read() as connection:
        row = find(connection, request)
        plan = bound_plan(connection, row)
    value = {"request": row.id, "state": row.state, "plan_hash": plan.hash, "bound_at": plan.bound_at.isoformat()}
    return value | {"plan": json.loads(plan.body)}


ROUTES = (
    Route("POST", "/requests/{request}/plan", make, (Role.OPERATOR,)),
    Route("POST", "/plans", make_many, (Role.OPERATOR,)),
    Route("GET", "/requests/{request}/plan", show, STAFF),
)


def _refuse_unknown(method: str | None) -> None:
    from tmu.config import AUTO
    from tmu.unlearn import method_names

    if method is not None and method not in (AUTO, *method_names()):
        raise RequestError("There is no method of that name.", f"Choose from {', '.join((AUTO, *method_names()))}.")


def _answer(request: str, answer: Any) -> dict[str, Any]:
    if isinstance(answer, Bound):
        return {"request": request, "status": 200, **vars(answer)}
    status, what, hint = said(answer)
    return {"request": request, "status": status, "what": what, "hint": hint}
