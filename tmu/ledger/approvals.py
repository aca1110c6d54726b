"""Approval by a second, authenticated person, of one plan by its hash. Refused attempts are on record."""

import secrets
from typing import Any

import sqlalchemy as sa

from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError, ForbiddenError
from tmu.ledger.plans import bound_plan
from tmu.ledger.schema import approvals
from tmu.ledger.states import State
from tmu.ledger.store import Ledger, Refused, Tx
from tmu.ledger.transition import Request, find, move


def approve(ledger: Ledger, request: str, plan_hash: str, actor: Actor, reason: str | None = None) -> None:
    """Approve the plan of that hash, as it was shown. Idempotent for the same person and plan.

    Raises ForbiddenError unless `actor` is an authenticated person other than the requester; ConflictError for another
    plan than the one in force, and in any other state than `awaiting_approval`.
    """
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        refuse_unfit(row, actor)
        if plan_hash != row.plan_hash:
            error = ConflictError("The plan has changed.", "Review the new plan.")
            raise Refused(error, "approval_refused", row.id, why="another plan")
        if row.state == State.APPROVED and _approval(tx.connection, row.id).approver == actor.name:
            return
        plan = bound_plan(tx.connection, row)
        _record(tx, row, plan.id)
        move(tx, row, State.APPROVED, reason=reason, facts={"plan": plan_hash})


def stands(connection: sa.Connection, row: Request) -> bool:
    """Whether an approved request's approval is of the plan in force, whose stored bytes still give its hash."""
    approval = _approval(connection, row.id)
    try:
        return approval is not None and approval.plan_hash == bound_plan(connection, row).hash
    except ConflictError:
        return False


def refuse_unfit(row: Request, actor: Actor, event: str = "approval_refused") -> None:
    """Raise Refused (ForbiddenError, on record as `event`) unless `actor` may approve this request."""
    if not actor.authenticated_person:
        error = ForbiddenError("The approver is not authenticated.", "Approve by an authenticated call.")
        raise Refused(error, event, row.id, why="not authenticated")
    if actor.name == row.requester:
        error = ForbiddenError("The requester cannot approve.", "A second person must approve the plan.")
        raise Refused(error, event, row.id, why="requester")


def _record(tx: Tx, row: Request, plan_id: str) -> None:
    new = {"id": secrets.token_hex(16), "request_id": row.id, "plan_id": plan_id, "plan_hash": row.plan_hash}
    tx.execute(sa.insert(approvals), [new | {"approver": tx.actor.name, "approved_at": tx.at}])


def _approval(connection: sa.Connection, request: str) -> sa.Row[Any] | None:
    wanted = sa.select(approvals).where(approvals.c.request_id == request, approvals.c.voided_at.is_(None))
    return connection.execute(wanted).first()
