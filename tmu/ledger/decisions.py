"""Decisions on a request beside its approval: identity, more time, and ends without deletion.

While the requester's identity is checked, the clock stands still and nothing is planned. Two more months are given
once, with a reason, within the first month. A request is denied with the reason, cancelled by us, or withdrawn by the
requester before the point of no return only; from `forgetting_data` on it can only be finished.
"""

from datetime import datetime

from tmu.ledger import clock, entries, voiding
from tmu.ledger.actor import Actor
from tmu.ledger.clock import clock_of
from tmu.ledger.errors import ConflictError
from tmu.ledger.states import ENDED, State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find, move, note


def verify_identity(ledger: Ledger, request: str, actor: Actor, reason: str | None = None) -> State:
    """Record that the requester is who they say; the clock runs on. Returns the state: `queued`, or still `held`.

    Idempotent. Raises ConflictError where nothing waits for it. reason: how it was checked, without naming anybody.
    """
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        if row.identity_verified_at is not None:
            return State(row.state)
        if row.state not in (State.UNVERIFIED, State.HELD):
            raise ConflictError(f"Request {row.id} is `{row.state}`.", "Its identity is not waited for any more.")
        stood = clock.resume(clock_of(row), tx.at).paused_seconds
        columns = {"identity_verified_at": tx.at, "paused_since": None, "paused_seconds": stood}
        facts = {"paused_seconds": stood}
        if row.state == State.HELD:
            note(tx, row, "identity_verified", reason=reason, facts=facts, **columns)
            return State.HELD
        move(tx, row, State.QUEUED, event="identity_verified", reason=reason, facts=facts, **columns)
        return State.QUEUED


def extend(ledger: Ledger, request: str, reason: str, actor: Actor) -> datetime:
    """Extend a request's time; returns the new date. The requester must be told, with the reason.

    Raises ConflictError for a second extension, after the first month, and for a request that has ended.
    """
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        if row.state in ENDED:
            raise ConflictError(f"Request {row.id} has ended: it is `{row.state}`.", "Its clock has stopped.")
        longer = clock.extend(clock_of(row), tx.at, tx.zone)
        due = clock.due(longer, tx.at, tx.zone)
        note(tx, row, "extended", reason=reason, facts={"due": due.isoformat()}, extended_at=tx.at)
        return due


def deny(ledger: Ledger, request: str, reason: str, actor: Actor) -> None:
    """Refuse a request, with the reason that the requester is told."""
    _close(ledger, request, State.DENIED, "denied", reason, actor)


def cancel(ledger: Ledger, request: str, reason: str, actor: Actor, *, withdrawn: bool = False) -> None:
    """Take a request back. withdrawn: the requester did."""
    _close(ledger, request, State.CANCELLED, "withdrawn" if withdrawn else "cancelled", reason, actor)


def _close(ledger: Ledger, request: str, to: State, event: str, reason: str, actor: Actor) -> None:
    """Once more is once: a request that ended this way stays as it is. Raises ConflictError past the point."""
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        if row.state == to:
            return
        voiding.void(tx, row.id)
        move(tx, row, to, event=event, reason=reason)
        entries.withdraw(tx, row.id)
