"""The check of the requester's identity: while it runs, the clock stands still and nothing is planned."""

from tmu.ledger import clock
from tmu.ledger.actor import Actor
from tmu.ledger.clocks import clock_of
from tmu.ledger.errors import ConflictError
from tmu.ledger.states import State
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
