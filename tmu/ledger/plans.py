"""A plan bound to a request by its hash. Another plan voids the approval of the one before."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tmu.files import canonical_json
from tmu.ledger import holds, voiding
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError
from tmu.ledger.schema import plans, request_keys
from tmu.ledger.states import State
from tmu.ledger.store import Ledger, Tx
from tmu.ledger.transition import Request, find, move, note

_PLANNABLE = (State.QUEUED, State.PLANNED, State.AWAITING_APPROVAL, State.APPROVED)


@dataclass(frozen=True)
class Bound:
    """What binding did. changed: false for the plan that was bound already. voided: approvals that lost their force.

    state: `planned`, or `held` if the plan reaches a person on hold; where nothing changed, the state as it was.
    """

    hash: str
    changed: bool
    voided: int
    state: State


def bind_plan(ledger: Ledger, request: str, plan: dict[str, Any], *, subjects: Collection[str], actor: Actor) -> Bound:
    """Store a plan with its hash (SHA-256 of its canonical JSON). The caller leaves out what may differ between equals.

    subjects: keys of all people whose records the plan touches, also of those behind single records: holds on them are
    only seen here. Raises ConflictError before the identity is known and past the point of no return.
    """
    body = canonical_json(plan)
    digest = hashlib.sha256(body).hexdigest()
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        if row.state not in _PLANNABLE:
            raise ConflictError(f"Request {row.id} is `{row.state}`.", f"Plan it when it is {', '.join(_PLANNABLE)}.")
        _remember(tx, row.id, subjects)
        if holds.held_among(tx, [(row.id, row.dataset, subjects)]):
            holds.stop(tx, row, None)
            return Bound(digest, False, 0, State.HELD)
        if row.plan_hash == digest:
            return Bound(digest, False, 0, State(row.state))
        voided = voiding.void(tx, row.id)
        new = {"id": secrets.token_hex(16), "request_id": row.id, "hash": digest, "body": body.decode()}
        tx.execute(sa.insert(plans), [new | {"bound_at": tx.at}])
        _to_planned(tx, row, digest, voided)
        return Bound(digest, True, voided, State.PLANNED)


def ask_approval(ledger: Ledger, request: str, actor: Actor) -> str:
    """Put a planned request before the approver; returns the hash of the plan to be shown. Idempotent."""
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        bound_plan(tx.connection, row)
        if row.state != State.AWAITING_APPROVAL:
            move(tx, row, State.AWAITING_APPROVAL, facts={"plan": row.plan_hash})
        return row.plan_hash


def bound_plan(connection: sa.Connection, row: Request) -> sa.Row[Any]:
    """The plan in force. Raises ConflictError where there is none, or its stored bytes do not give its hash."""
    wanted = sa.select(plans).where(plans.c.request_id == row.id, plans.c.voided_at.is_(None))
    plan = connection.execute(wanted).first()
    if plan is None or plan.hash != row.plan_hash:
        raise ConflictError(f"Request {row.id} has no plan in force.", "Plan it first.")
    if hashlib.sha256(plan.body.encode()).hexdigest() != plan.hash:
        raise ConflictError(f"The stored plan of request {row.id} was changed.", "Plan it anew, and check the ledger.")
    return plan


def _to_planned(tx: Tx, row: Request, digest: str, voided: int) -> None:
    facts = {"plan": digest, "approvals_voided": voided}
    if row.state == State.PLANNED:
        note(tx, row, "plan_changed", facts=facts, plan_hash=digest)
    else:
        event = "planned" if row.state == State.QUEUED else "plan_changed"
        move(tx, row, State.PLANNED, event=event, facts=facts, plan_hash=digest)


def _remember(tx: Tx, request: str, subjects: Collection[str]) -> None:
    """Keep the subjects that the plan reaches beside those named, so that a later hold finds the request."""
    more = sorted(set(subjects) - set(holds.subjects_of(tx, request)))
    rows = [{"request_id": request, "kind": "subject", "key": key, "named": False} for key in more]
    if rows:
        tx.execute(sa.insert(request_keys), rows)
