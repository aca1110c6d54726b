"""Executions of a batch. Each attempt gets a fencing token, higher than every one before; only the newest counts.

`begin` is the point of no return, but for a legal hold, which counts until `begin_erasing`. An interrupted attempt is
not a failure: the next one goes on from the states as they are. Whoever finishes with an old token is refused, and that
is on record.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from tmu.errors import RequestError
from tmu.ledger import approvals, batches, entries, holds, voiding
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError, HeldError, UnknownError
from tmu.ledger.outbox import announce_head
from tmu.ledger.schema import batches as batches_table
from tmu.ledger.schema import executions
from tmu.ledger.states import RUNNING, STUCK, State
from tmu.ledger.store import Ledger, Refused, Tx
from tmu.ledger.transition import Request, move

Outcome = Literal["completed", "partially_failed", "failed", "interrupted"]
STOOD_BACK, ERASING, UNDER_HOLD = "stood_back", "erasing_began", "published_under_hold"


@dataclass(frozen=True)
class Execution:
    """One attempt. token: to be given with everything that it publishes. requests: what it serves."""

    batch: str
    token: int
    attempt: int
    requests: list[str]


@dataclass(frozen=True)
class Attempt:
    """The last attempt of a batch. run: the orchestrator's id of it. ended: how, or None while it has not."""

    token: int
    run: str | None
    ended: str | None
    left: int


def begin(ledger: Ledger, batch: str, actor: Actor, run: str | None = None) -> Execution | None:
    """Start an attempt; an older one that has not finished is superseded. None where nothing is left to do.

    run: the orchestrator's id of what serves it, so that others can see whether it is still at work.

    Leaves out what has no approval of the plan as it is stored; what was held or changed has left the batch before.
    Raises ConflictError for a closed batch and after the last attempt.
    """
    with ledger.write(actor) as tx:
        row = batches.find_batch(tx.connection, batch)
        _refuse_closed(row)
        last = _last(tx.connection, batch)
        attempt = last.attempt + 1 if last else 1
        if attempt > row.attempts_allowed:
            raise ConflictError(f"Batch {batch} was tried {last.attempt} times.", "A person must look at it.")
        served = [each.id for each in batches.members(tx.connection, batch) if _served(tx, each)]
        if not served:
            batches.close(tx, batch, "empty")
            return None
        entries.take(tx, batch)
        if last and last.finished_at is None:
            _end(tx, last.token, "superseded")
        token = (tx.execute(sa.select(sa.func.max(executions.c.token))).scalar() or 0) + 1
        row = {"token": token, "batch_id": batch, "attempt": attempt, "run": run, "started_at": tx.at}
        tx.execute(sa.insert(executions), [row])
        tx.log("execution_began", None, batch=batch, token=token, attempt=attempt, requests=len(served))
        announce_head(tx, "batch")
        return Execution(batch, token, attempt, served)


def begin_erasing(ledger: Ledger, token: int, actor: Actor) -> None:
    """To be called right before the first byte of a batch's records is erased. Once more is once, also after a crash.

    The look at the holds and the note that erasing began are one transaction: a hold comes either before it and stops
    the erasing (HeldError; the caller lets the batch `stand_back`), or after it, too late, and whoever places it is
    told so. Raises ConflictError for an old token (on record).
    """
    with ledger.write(actor) as tx:
        row = _current(tx, token, "late_advance_refused", ERASING)
        if batches.find_batch(tx.connection, row.batch_id).erasing_at is not None:
            return
        members = batches.members(tx.connection, row.batch_id)
        held = holds.held_of(tx, members)
        if held:
            raise HeldError(
                f"A legal hold covers {len(held)} of {len(members)} requests: nothing was erased.",
                "`tmu request list --holds` shows it; the others are served in the next batch.",
            )
        tx.execute(sa.update(batches_table).where(batches_table.c.id == row.batch_id).values(erasing_at=tx.at))
        tx.log(ERASING, None, batch=row.batch_id, token=token)


def advance(ledger: Ledger, token: int, to: State, actor: Actor, reason: str | None = None) -> None:
    """Record the next state of all requests of an execution. A state that was reached before is not taken back.

    Raises ConflictError for an old token (on record), RequestError for a state that is none of a running request.
    """
    if to not in RUNNING:
        raise RequestError(f"`{to}` is no state of a running execution.", f"Choose from {', '.join(RUNNING)}.")
    with ledger.write(actor) as tx:
        row = _current(tx, token, "late_advance_refused", to)
        for each in batches.members(tx.connection, row.batch_id):
            if RUNNING.index(State(each.state)) < RUNNING.index(to):
                move(tx, each, to, reason=reason, facts={"token": token})


def finish(ledger: Ledger, token: int, outcome: Outcome, actor: Actor, reason: str | None = None) -> None:
    """End an execution: `completed` (from `verifying` only), `interrupted` (the batch stays open), or not successful.

    Once more is once. Raises ConflictError for an old token or another outcome than before (on record).
    """
    with ledger.write(actor) as tx:
        known = _find(tx.connection, token)
        if known.outcome == outcome:
            return
        row = _current(tx, token, "late_finish_refused", outcome)
        _end(tx, token, outcome)
        tx.log("execution_finished", None, reason, batch=row.batch_id, token=token, outcome=outcome)
        if outcome != "interrupted":
            _close(tx, row.batch_id, token, outcome, reason)
        announce_head(tx, "batch")


def stand_back(ledger: Ledger, token: int, actor: Actor) -> list[str]:
    """End an execution that a legal hold met before anything was erased. Returns the requests that are `held` now.

    The others are approved as they were; the batch closes, and the next one takes them. The caller answers for it that
    no byte was touched: that is seen in the data, also where an attempt was killed between `begin_erasing` and the
    first byte. Raises ConflictError for an old token and for a request that is further than `forgetting_data`.
    """
    with ledger.write(actor) as tx:
        row = _current(tx, token, "late_finish_refused", STOOD_BACK)
        _end(tx, token, STOOD_BACK)
        tx.log("execution_finished", None, batch=row.batch_id, token=token, outcome=STOOD_BACK)
        members = batches.members(tx.connection, row.batch_id)
        held = holds.held_of(tx, members)
        entries.give_back(tx, row.batch_id)
        for each in members:
            if each.id in held:
                voiding.void(tx, each.id)
                move(tx, each, State.HELD, facts={"token": token}, plan_hash=None, batch_id=None)
            else:
                move(tx, each, State.APPROVED, event="stood_back", facts={"token": token}, batch_id=None)
        batches.close(tx, row.batch_id, STOOD_BACK)
        announce_head(tx, "batch")
        return [each.id for each in members if each.id in held]


@contextmanager
def publishing(ledger: Ledger, token: int, actor: Actor, what: str) -> Iterator[Tx]:
    """Publish outside the ledger what only the newest attempt may; nobody can begin another within the block.

    Raises ConflictError for an old token (on record), before the block. The transaction's entries become part of the
    log when the block has ended; a block that raises leaves none.

    A legal hold that came after the erasing began does not stop it: a model that knows the person would stay in service
    for everybody, and nothing that is left is destroyed by it. It is flagged by an entry `published_under_hold`.
    """
    with ledger.write(actor) as tx:
        row = _current(tx, token, "late_publish_refused", what)
        held = holds.held_of(tx, batches.members(tx.connection, row.batch_id))
        if held:
            tx.log(UNDER_HOLD, None, batch=row.batch_id, token=token, what=what, requests=sorted(held))
        yield tx


def last_attempt(connection: sa.Connection, batch: str) -> Attempt | None:
    """The last attempt of a batch; None before the first. left: how many more may follow."""
    row = _last(connection, batch)
    if row is None:
        return None
    allowed = batches.find_batch(connection, batch).attempts_allowed
    return Attempt(row.token, row.run, row.outcome, allowed - row.attempt)


def reopen(ledger: Ledger, batch: str, reason: str, actor: Actor) -> None:
    """Let a batch that did not succeed, or that was tried too often, be tried again. Every stage may be repeated."""
    with ledger.write(actor) as tx:
        row = batches.find_batch(tx.connection, batch)
        other = batches.open_batch(tx.connection, row.dataset)
        if other not in (None, batch):
            raise ConflictError(f"Batch {other} of dataset {row.dataset} is open.", "Finish that one first.")
        if row.closed_at is not None and row.outcome not in STUCK:
            raise ConflictError(f"Batch {batch} is closed: {row.outcome}.", "Nothing is left to do.")
        last = _last(tx.connection, batch)
        columns = {"closed_at": None, "outcome": None}
        columns |= {"attempts_allowed": (last.attempt if last else 0) + batches.ATTEMPTS}
        tx.execute(sa.update(batches_table).where(batches_table.c.id == batch).values(**columns))
        tx.log("batch_reopened", None, reason, batch=batch)


def _served(tx: Tx, row: Request) -> bool:
    """Whether an attempt serves a member of its batch; moves it past the point of no return, or out of the batch."""
    if row.state in RUNNING:
        return True
    if row.state in STUCK:
        move(tx, row, State.FORGETTING_DATA, event="tried_again")
        return True
    if not approvals.stands(tx.connection, row):
        voiding.void(tx, row.id)
        move(tx, row, State.PLANNED, event="left_out", reason="its approval is not of the stored plan", plan_hash=None)
        return False
    move(tx, row, State.FORGETTING_DATA, facts={"plan": row.plan_hash})
    return True


def _close(tx: Tx, batch: str, token: int, outcome: str, reason: str | None) -> None:
    """End a batch with all its requests."""
    for each in batches.members(tx.connection, batch):
        move(tx, each, State(outcome), reason=reason, facts={"token": token})
    if outcome == "completed":
        entries.forget(tx, batch)
    batches.close(tx, batch, outcome)


def _refuse_closed(row: sa.Row[Any]) -> None:
    if row.closed_at is not None:
        raise ConflictError(f"Batch {row.id} is closed: {row.outcome}.", "Take the next one.")


def _current(tx: Tx, token: int, event: str, wanted: str) -> sa.Row[Any]:
    """The execution of a token that still counts. Raises Refused for any other."""
    row = _find(tx.connection, token)
    if row.finished_at is not None or _last(tx.connection, row.batch_id).token != token:
        error = ConflictError(f"Token {token} is not in force any more.", "Another attempt took over: publish nothing.")
        raise Refused(error, event, None, batch=row.batch_id, token=token, wanted=wanted, ended_as=row.outcome)
    return row


def _find(connection: sa.Connection, token: int) -> sa.Row[Any]:
    row = connection.execute(sa.select(executions).where(executions.c.token == token)).first()
    if row is None:
        raise UnknownError(f"There is no execution with token {token}.", "`begin` gives one.")
    return row


def _last(connection: sa.Connection, batch: str) -> sa.Row[Any] | None:
    wanted = sa.select(executions).where(executions.c.batch_id == batch)
    return connection.execute(wanted.order_by(executions.c.token.desc()).limit(1)).first()


def _end(tx: Tx, token: int, outcome: str) -> None:
    tx.execute(sa.update(executions).where(executions.c.token == token).values(finished_at=tx.at, outcome=outcome))
