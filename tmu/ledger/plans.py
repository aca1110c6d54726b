"""A plan bound to a request by its hash. A plan that says something else voids the approval of the one before."""

import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from tmu.errors import TmuError
from tmu.files import canonical_json
from tmu.ledger import holds, voiding
from tmu.ledger.actor import Actor
from tmu.ledger.entries import chunks
from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.schema import plans, request_keys, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger, Tx
from tmu.ledger.transition import Request, find, move, note

SALT = "salt"
"""In a stored plan: random, so that its hash, which the log keeps for ever, tells nothing once the body is redacted."""
PLANNABLE = (State.QUEUED, State.PLANNED, State.AWAITING_APPROVAL, State.APPROVED)
_TOGETHER = 400
"""Plans bound in one transaction: others who write wait for so many."""

Essence = Callable[[dict[str, Any]], Any]
"""What of a plan decides: two plans of equal essence are one, and the older stays with its approval."""


@dataclass(frozen=True)
class Wanted:
    """A plan to be bound. subjects: keys of all people whose records it touches, also those behind single records."""

    request: str
    plan: dict[str, Any]
    subjects: Collection[str]


@dataclass(frozen=True)
class Bound:
    """What binding did. changed: false for the plan that was bound already. voided: approvals that lost their force.

    state: `planned` (`awaiting_approval` where that was asked for), or `held` if the plan reaches a person on hold;
    where nothing changed, the state as it was.
    """

    hash: str
    changed: bool
    voided: int
    state: State


def bind_plan(ledger: Ledger, request: str, plan: dict[str, Any], *, subjects: Collection[str], actor: Actor) -> Bound:
    """Store a plan, salted, with its hash (SHA-256 of its canonical JSON). Two plans that say the same are one.

    subjects: as in `Wanted`; holds on them are only seen here. Raises ConflictError before the identity is known and
    past the point of no return.
    """
    (bound,) = bind_all(ledger, [Wanted(request, plan, subjects)], actor)
    if isinstance(bound, TmuError):
        raise bound
    return bound


def bind_all(
    ledger: Ledger, wanted: Sequence[Wanted], actor: Actor, *, essence: Essence = lambda plan: plan, ask: bool = False
) -> list[Bound | TmuError]:
    """Bind many plans in few transactions; the answers are in order, an error in the place of its request.

    ask: put what is planned before the approver, too.
    """
    answers: list[Bound | TmuError] = []
    for start in range(0, len(wanted), _TOGETHER):
        with ledger.write(actor) as tx:
            answers += _bind(tx, wanted[start : start + _TOGETHER], essence, ask)
    return answers


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
    plan = _live(connection, [row.id]).get(row.id)
    if plan is None or plan.hash != row.plan_hash:
        raise ConflictError(f"Request {row.id} has no plan in force.", "Plan it first.")
    if not _sound(plan):
        raise ConflictError(f"The stored plan of request {row.id} was changed.", "Plan it again, and check the ledger.")
    return plan


def unfit(rows: dict[str, Request], request: str) -> TmuError | None:
    """Why a request cannot be planned: it is not among `rows`, or is in another state. None where it can."""
    if request not in rows:
        return UnknownError(f"There is no request {request}.", "`tmu request list` lists them.")
    row = rows[request]
    if row.state in PLANNABLE:
        return None
    return ConflictError(f"Request {row.id} is `{row.state}`.", f"Plan it when it is {', '.join(PLANNABLE)}.")


def rows_of(connection: sa.Connection, ids: Collection[str]) -> dict[str, Request]:
    """Requests by id; those that are not on record are left out."""
    parts = (sa.select(requests).where(requests.c.id.in_(part)) for part in chunks(dict.fromkeys(ids)))
    return {row.id: row for part in parts for row in connection.execute(part)}


def bodies_of(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """The plans in force by request, as canonical JSON; without those whose stored bytes do not give their hash."""
    return {request: plan.body for request, plan in _live(connection, ids).items() if _sound(plan)}


def _bind(tx: Tx, wanted: Sequence[Wanted], essence: Essence, ask: bool) -> list[Bound | TmuError]:
    rows = rows_of(tx.connection, [each.request for each in wanted])
    fit = {each.request: each for each in wanted if unfit(rows, each.request) is None}
    _remember(tx, fit.values())
    held = holds.held_among(tx, [(id_, rows[id_].dataset, each.subjects) for id_, each in fit.items()])
    old, new = _live(tx.connection, fit), {}
    done: dict[str, Bound] = {}
    for id_, each in fit.items():
        body = canonical_json(each.plan | {SALT: secrets.token_hex(16)})
        digest = hashlib.sha256(body).hexdigest()
        if id_ in held:
            holds.stop(tx, rows[id_], None)
            done[id_] = Bound(digest, False, 0, State.HELD)
        elif _same(rows[id_], old.get(id_), body, essence):
            done[id_] = Bound(rows[id_].plan_hash, False, 0, State(rows[id_].state))
        else:
            new[id_] = {"id": secrets.token_hex(16), "request_id": id_, "hash": digest, "body": body.decode()}
    done |= _replace(tx, rows, new)
    if ask:
        done |= _asked(tx, done)
    return [done.get(each.request) or unfit(rows, each.request) for each in wanted]


def _replace(tx: Tx, rows: dict[str, Request], new: dict[str, dict[str, Any]]) -> dict[str, Bound]:
    """Bind new plans in the place of what was bound before."""
    if not new:
        return {}
    lost, done = voiding.void_all(tx, new), {}
    tx.execute(sa.insert(plans), [row | {"bound_at": tx.at} for row in new.values()])
    for id_, row in new.items():
        _to_planned(tx, rows[id_], row["hash"], lost[id_])
        done[id_] = Bound(row["hash"], True, lost[id_], State.PLANNED)
    return done


def _asked(tx: Tx, done: dict[str, Bound]) -> dict[str, Bound]:
    """Put those that are planned before the approver."""
    planned = [id_ for id_, bound in done.items() if bound.state is State.PLANNED]
    for row in rows_of(tx.connection, planned).values():
        move(tx, row, State.AWAITING_APPROVAL, facts={"plan": row.plan_hash})
    return {id_: replace(done[id_], state=State.AWAITING_APPROVAL) for id_ in planned}


def _same(row: Request, old: sa.Row[Any] | None, body: bytes, essence: Essence) -> bool:
    """Whether the plan in force says the same as `body`. One whose stored bytes were changed says nothing."""
    if old is None or old.hash != row.plan_hash or not _sound(old):
        return False
    return essence(_unsalted(old.body)) == essence(_unsalted(body))


def _unsalted(body: str | bytes) -> dict[str, Any]:
    return {name: value for name, value in json.loads(body).items() if name != SALT}


def _sound(plan: sa.Row[Any]) -> bool:
    """Whether the bytes are those that were hashed, or what was left of them when they were redacted."""
    digest = hashlib.sha256(plan.body.encode()).hexdigest()
    return digest == (plan.redacted or plan.hash)


def _live(connection: sa.Connection, ids: Collection[str]) -> dict[str, sa.Row[Any]]:
    """The plans in force by request."""
    live = plans.c.voided_at.is_(None)
    parts = (sa.select(plans).where(plans.c.request_id.in_(part), live) for part in chunks(ids))
    return {row.request_id: row for part in parts for row in connection.execute(part)}


def _to_planned(tx: Tx, row: Request, digest: str, voided: int) -> None:
    facts = {"plan": digest, "approvals_voided": voided}
    if row.state == State.PLANNED:
        note(tx, row, "plan_changed", facts=facts, plan_hash=digest)
    else:
        event = "planned" if row.state == State.QUEUED else "plan_changed"
        move(tx, row, State.PLANNED, event=event, facts=facts, plan_hash=digest)


def _remember(tx: Tx, wanted: Collection[Wanted]) -> None:
    """Keep the subjects that the plans reach beside those named, so that a later hold finds the requests."""
    known: set[tuple[str, str]] = set()
    for part in chunks(each.request for each in wanted):
        mine = sa.select(request_keys.c.request_id, request_keys.c.key)
        mine = mine.where(request_keys.c.kind == "subject", request_keys.c.request_id.in_(part))
        known.update(tx.execute(mine).tuples())
    reached = {(each.request, key) for each in wanted for key in each.subjects}
    rows = [{"request_id": id_, "kind": "subject", "key": key, "named": False} for id_, key in sorted(reached - known)]
    if rows:
        tx.execute(sa.insert(request_keys), rows)
