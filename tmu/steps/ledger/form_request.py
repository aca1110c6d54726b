"""A request that somebody typed into a form which knows nobody: received, planned, decided with an approval code."""

import json
from typing import Any

from tmu.config import Config
from tmu.data.info import read_info
from tmu.data.keys import Keys
from tmu.errors import RequestError
from tmu.ledger import approval_codes, approvals, decisions, views
from tmu.ledger.actor import SYSTEM, Actor
from tmu.ledger.errors import UnknownError
from tmu.ledger.intake import Intake, receive
from tmu.ledger.place import opened
from tmu.ledger.plans import bound_plan
from tmu.ledger.states import RUNNING, STUCK, State
from tmu.ledger.transition import find
from tmu.steps.ledger.batch import dataset_of
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.plan_facts import PlanFacts, facts_of
from tmu.steps.store_keys import keys_of
from tmu.workspace import Workspace

_PLANNABLE = (State.QUEUED, State.PLANNED)


class Decision(Config):
    """What was typed into the form of the approval. code: proves who decides (`approval_codes`)."""

    approve: bool
    code: str = ""
    reason: str = ""


class PlanShown(Config):
    """A plan for its approver. hash: what an approval binds; due: ISO time; requester: as typed, unchecked."""

    request: str
    hash: str
    due: str
    requester: str
    facts: PlanFacts


def receive_form(
    workspace: Workspace, request: str, who: str, subjects: list[str], records: list[str], *, urgent: bool
) -> State:
    """Put the form on record, once. who: a name that nobody has checked; it may not approve.

    A run that starts anew names nobody once the purge took the keys from its parameters: its request is on record.
    """
    if not subjects and not records:
        state = _begun(workspace, request)
        if state is not None:
            return state
        raise RequestError(
            "The form names no person and no record.", "Fill it in again, with people or single records."
        )
    intake = Intake(
        id=request,
        dataset=dataset_of(workspace),
        subjects=tuple(subjects),
        records=tuple(records),
        urgent=urgent,
        source="form",
    )
    with opened(workspace) as ledger:
        return receive(ledger, _keys(workspace), intake, Actor(who, "form")).state


def plan_form(workspace: Workspace, request: str, method: str | None) -> State:
    """Plan the request if it waits for that; returns its state. A request that has gone further stays as it is."""
    with opened(workspace) as ledger:
        state = _state(ledger, request)
        return plan_request(workspace, ledger, request, SYSTEM, method).state if state in _PLANNABLE else state


def status(workspace: Workspace, request: str) -> State:
    """The state of a request."""
    with opened(workspace) as ledger:
        return _state(ledger, request)


def plan_shown(workspace: Workspace, request: str) -> PlanShown:
    """The plan in force as it is shown to the approver."""
    with opened(workspace) as ledger:
        with ledger.read() as connection:
            plan = bound_plan(connection, find(connection, request))
        line = views.show(ledger, request)
    body = json.loads(plan.body)
    facts = facts_of(body)
    return PlanShown(request=request, hash=plan.hash, due=line["due"], requester=line["requester"], facts=facts)


def decide_form(workspace: Workspace, request: str, decision: Decision) -> State:
    """Approve or deny by whom the code names; returns the state then. What was decided elsewhere meanwhile stands.

    Raises RequestError for a denial without a reason; ForbiddenError or ConflictError for a code that does not hold.
    """
    with opened(workspace) as ledger:
        if _state(ledger, request) is not State.AWAITING_APPROVAL:
            return _state(ledger, request)
        keys = keys_of(workspace, read_info(workspace.data))
        actor, plan_hash = approval_codes.redeem(keys, ledger, request, decision.code)
        if decision.approve:
            approvals.approve(ledger, request, plan_hash, actor, decision.reason or None)
        elif not decision.reason:
            raise RequestError("A denial needs the reason that the requester is told.", "Resume again, with a reason.")
        else:
            decisions.deny(ledger, request, decision.reason, actor)
        return _state(ledger, request)


def _begun(workspace: Workspace, request: str) -> State | None:
    """The state of a request that is being carried out, or was; None for others."""
    with opened(workspace) as ledger, ledger.read() as connection:
        try:
            state = State(find(connection, request).state)
        except UnknownError:
            return None
    return state if state in (*RUNNING, *STUCK, State.COMPLETED) else None


def _keys(workspace: Workspace) -> Keys:
    return keys_of(workspace, read_info(workspace.data))


def _state(ledger: Any, request: str) -> State:
    with ledger.read() as connection:
        return State(find(connection, request).state)
