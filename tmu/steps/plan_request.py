"""Plan a request of the ledger and bind the plan to it. Nothing is written but that binding.

What is bound, and hashed, is what an approver must have seen: the data revision, all records by their digest, shards,
counts and the method. The forecast is bound with it, but a forecast that alone has changed makes no new plan: it moves
with every training that is measured, and would void approvals for nothing.
"""

import json
from typing import Any

import sqlalchemy as sa

from tmu.data.info import read_info
from tmu.files import canonical_json, digest_of
from tmu.ledger import plans
from tmu.ledger.actor import Actor
from tmu.ledger.asked import named_keys
from tmu.ledger.errors import ConflictError
from tmu.ledger.plans import Bound
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import Request, find
from tmu.steps.choose_method import Choice, choose_method
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan_deletion import Plan, plan_deletion
from tmu.steps.preflight import check_parameters
from tmu.workspace import Workspace


def plan_request(workspace: Workspace, ledger: Ledger, request: str, actor: Actor, method: str | None = None) -> Bound:
    """Plan against the data as they are now, bind, and put it before the approver; a plan that reaches a person on hold
    leaves the request `held`. Once more changes nothing where the plan is the same.

    method: by name, `auto`, or None for the one in params.yaml. Raises ConflictError where the request cannot be
    planned in its state or is for another dataset, RequestError where it cannot be honoured (see `plan_deletion`).
    """
    with ledger.read() as connection:
        row = find(connection, request)
        subjects, records = named_keys(connection, request)
        before = _before(connection, row)
    if row.dataset != read_info(workspace.data).dataset:
        raise ConflictError("The request is for another dataset than this workspace holds.", "Plan it where that lies.")
    data = data_ref(workspace)
    plan = plan_deletion(workspace, data, subjects, records)
    store = open_store(workspace, data)
    check_parameters(store, workspace.params, method)
    body = content(plan, choose_method(workspace, plan, method))
    if before is not None and essence(before) == essence(body):
        body = before
    people = store.index().people_behind(plan.records)
    bound = plans.bind_plan(ledger, request, body, subjects=people, actor=actor)
    if bound.state != State.PLANNED:
        return bound
    plans.ask_approval(ledger, request, actor)
    return Bound(bound.hash, bound.changed, bound.voided, State.AWAITING_APPROVAL)


def content(plan: Plan, choice: Choice) -> dict[str, Any]:
    """What is bound: counts and digests, no key of a person or record. JSON-ready."""
    value = plan.as_json() | {"records_digest": digest_of(plan.records), "choice": choice.as_json()}
    value |= {"n_subjects_named": len(value.pop("subjects"))}
    return json.loads(canonical_json(value))


def essence(body: dict[str, Any]) -> dict[str, Any]:
    """A plan without what moves while nothing is decided anew: forecast, reason, the numbers behind the risk."""
    choice = {name: body["choice"][name] for name in ("asked", "method")}
    risk = body["choice"]["risk"]
    return body | {"choice": choice | {"risk": [risk.get("level"), risk.get("refusal")]}}


def _before(connection: sa.Connection, row: Request) -> dict[str, Any] | None:
    try:
        return json.loads(plans.bound_plan(connection, row).body)
    except ConflictError:
        return None
