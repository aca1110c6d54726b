"""Plan a request, and show the plan in force."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tmu.errors import RequestError
from tmu.ledger.plans import bound_plan
from tmu.ledger.transition import find
from tmu.service.bodies import PlanBody
from tmu.service.guard import Here
from tmu.service.requests import RequestId
from tmu.service.roles import STAFF, Role, Route
from tmu.workspace import untouched


def make(request: RequestId, body: PlanBody, call: Here) -> dict[str, Any]:
    """Compute the plan of a request, bind it, and put it before the approver. Nothing else is written.

    The same plan again changes nothing; another one voids the approval of the one before (`voided`).
    """
    _refuse_unknown(body.method)
    from tmu.steps.plan_request import plan_request  # torch: loaded by the first plan, not by the start

    with call.service.heavy.turn(), TemporaryDirectory() as scratch:  # an index that is kept would outlive an erasure
        looking = untouched(call.service.workspace, Path(scratch))
        bound = plan_request(looking, call.ledger, request, call.actor, body.method)
    return {"request": request, **asdict(bound)}


def show(request: RequestId, call: Here) -> dict[str, Any]:
    """The plan in force: records, shards, method, forecast of cost; and its hash, which an approval must name."""
    with call.ledger.read() as connection:
        row = find(connection, request)
        plan = bound_plan(connection, row)
    value = {"request": row.id, "state": row.state, "plan_hash": plan.hash, "bound_at": plan.bound_at.isoformat()}
    return value | {"plan": json.loads(plan.body)}


ROUTES = (
    Route("POST", "/requests/{request}/plan", make, (Role.OPERATOR,)),
    Route("GET", "/requests/{request}/plan", show, STAFF),
)


def _refuse_unknown(method: str | None) -> None:
    from tmu.config import AUTO
    from tmu.unlearn import method_names

    if method is not None and method not in (AUTO, *method_names()):
        raise RequestError("There is no method of that name.", f"Choose from {', '.join((AUTO, *method_names()))}.")
