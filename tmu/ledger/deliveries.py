"""Which message goes to whom, when it is tried, and how that ended. The trying itself is `tmu.notify`'s.

A target is named by the leading digits of its address's digest; the ledger never sees the address. Messages that tell
of one request reach a target in their order: a later one waits until the earlier is delivered or given up.
"""

import random
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

import sqlalchemy as sa

from tmu.ledger.schema import deliveries, listeners, outbox
from tmu.ledger.store import Ledger, Tx

HEARS = timedelta(days=3)
"""How far back a target that is new hears."""
PATIENCE = timedelta(days=3)
"""How long a message is tried after its first failure."""
KEEP = timedelta(days=30)
"""How long a message is kept after it was written; the audit log keeps what it told for ever."""
SOONEST, LATEST = timedelta(seconds=30), timedelta(hours=6)
"""Between two attempts."""
LEASE = timedelta(minutes=10)
"""How long claimed messages are left to the sender that claimed them: more than MOST of them can take."""
MOST = 50

_D = deliveries.c
_WAITS = sa.and_(_D.delivered_at.is_(None), _D.given_up_at.is_(None))


@dataclass(frozen=True)
class Message:
    """A message to be sent. body: the JSON as it goes out."""

    seq: int
    id: str
    body: str


def fan_out(tx: Tx, targets: Collection[str], only: Mapping[str, Collection[str]] = MappingProxyType({})) -> int:
    """Give each target a delivery of every message that it has none of yet; returns how many that were.

    only: the events that a target is told of; a target that is not in it is told of all.
    """
    newest = tx.execute(sa.select(sa.func.max(outbox.c.seq))).scalar() or 0
    known = {row.target: row.upto for row in tx.execute(sa.select(listeners))}
    made = 0
    for target in targets:
        upto = known.get(target)
        if upto is None:
            upto = _start(tx)
            tx.execute(sa.insert(listeners), [{"target": target, "upto": upto, "since": tx.at}])
        if upto < newest:
            made += _deliveries(tx, target, upto, only.get(target))
            tx.execute(sa.update(listeners).where(listeners.c.target == target).values(upto=newest))
    return made


def claim(tx: Tx, target: str) -> tuple[str, list[Message]]:
    """Claim what is due for a target, at most MOST, for LEASE; returns the claim and the messages, in order."""
    earlier = deliveries.alias()
    blocked = sa.exists().where(
        earlier.c.target == target,
        earlier.c.request_id == _D.request_id,
        earlier.c.seq < _D.seq,
        earlier.c.delivered_at.is_(None),
        earlier.c.given_up_at.is_(None),
    )
    due = sa.select(_D.seq, outbox.c.id, outbox.c.body).join(outbox, outbox.c.seq == _D.seq)
    due = due.where(_D.target == target, _WAITS, _D.next_at <= tx.at, ~blocked)
    rows = tx.execute(due.order_by(_D.next_at, _D.seq).limit(MOST)).all()
    messages = sorted((Message(*row) for row in rows), key=lambda message: message.seq)
    name = secrets.token_hex(8)
    mine = sa.and_(_D.target == target, _D.seq.in_([message.seq for message in messages]))
    columns = {"claim": name, "next_at": tx.at + LEASE, "attempts": _D.attempts + 1}
    if messages:
        tx.execute(sa.update(deliveries).where(mine).values(**columns))
    return name, messages


def delivered(tx: Tx, target: str, done: Sequence[int]) -> None:
    """Note what reached the target, whoever has claimed it by now."""
    mine = sa.and_(_D.target == target, _D.seq.in_(done), _WAITS)
    tx.execute(sa.update(deliveries).where(mine).values(delivered_at=tx.at, last_error=None))


def failed(
    tx: Tx,
    target: str,
    claimed: str,
    errors: dict[int, str],
    *,
    final: bool = False,
    patience: timedelta | None = PATIENCE,
) -> int:
    """Note what did not, with the kind of error of each: tried again later, unless `final` or the patience is over.

    patience: None for ever. Returns how many were given up, which goes into the log.
    """
    mine = sa.and_(_D.target == target, _D.claim == claimed, _D.seq.in_(list(errors)))
    return _put_off(tx, target, claimed, mine, errors, timedelta() if final else patience)


def down(tx: Tx, target: str, claimed: str, error: str, *, patience: timedelta | None = PATIENCE) -> int:
    """Count a failed attempt for all that is due for a target that does not answer. Returns how many were given up."""
    due = sa.and_(_D.target == target, sa.or_(_D.claim == claimed, _D.next_at <= tx.at))
    return _put_off(tx, target, claimed, due, error, patience)


def prune(tx: Tx, targets: Collection[str]) -> int:
    """Remove messages older than KEEP for which none of the targets waits; returns how many."""
    waiting = sa.exists().where(_D.seq == outbox.c.seq, _D.target.in_(list(targets)), _WAITS)
    old = sa.select(outbox.c.seq).where(outbox.c.created_at < tx.at - KEEP, ~waiting)
    gone = tx.execute(old).scalars().all()
    for start in range(0, len(gone), 400):
        part = gone[start : start + 400]
        tx.execute(sa.delete(deliveries).where(_D.seq.in_(part)))
        tx.execute(sa.delete(outbox).where(outbox.c.seq.in_(part)))
    return len(gone)


def summary(ledger: Ledger, target: str) -> dict[str, int]:
    """How many messages of a target wait, were delivered, were given up, of those that are kept."""
    counted = sa.select(
        sa.func.count().filter(_WAITS),
        sa.func.count(_D.delivered_at),
        sa.func.count(_D.given_up_at),
    ).where(_D.target == target)
    with ledger.read() as connection:
        waiting, done, given_up = connection.execute(counted).one()
    return {"waiting": waiting, "delivered": done, "given_up": given_up}


@dataclass(frozen=True)
class Told:
    """How far a target has got with one kind of message.

    newest: body and time of the newest that reached it; None where none did, or it is not kept any more. waiting_since:
    when the oldest message was written that it still lacks. error: the kind of the last failure of that one.
    """

    newest: tuple[str, datetime] | None
    waiting_since: datetime | None
    error: str | None


def told(connection: sa.Connection, target: str, event: str) -> Told:
    """How far a target has got with the messages of an event; what is still to be given to it counts as waiting."""
    kept = sa.select(outbox.c.body, outbox.c.created_at, _D.delivered_at, _D.last_error)
    kept = kept.outerjoin(deliveries, sa.and_(_D.seq == outbox.c.seq, _D.target == target))
    kept = kept.where(outbox.c.event == event)
    reached = kept.where(_D.delivered_at.is_not(None)).order_by(outbox.c.seq.desc()).limit(1)
    newest = connection.execute(reached).first()
    upto = connection.scalar(sa.select(listeners.c.upto).where(listeners.c.target == target)) or 0
    lacks = kept.where(_WAITS, sa.or_(_D.seq.is_not(None), outbox.c.seq > upto))
    oldest = connection.execute(lacks.order_by(outbox.c.seq).limit(1)).first()
    return Told(
        newest=(newest.body, newest.delivered_at) if newest else None,
        waiting_since=oldest.created_at if oldest else None,
        error=oldest.last_error if oldest else None,
    )


@dataclass(frozen=True)
class Reached:
    """What became of one message at one target. error: the kind of the last failure. at: of the answer, or None."""

    message: str
    body: str
    target: str
    answer: Literal["delivered", "failed", "waiting"]
    at: datetime | None
    error: str | None


def reached(connection: sa.Connection, event: str, targets: Collection[str]) -> list[Reached]:
    """Each kept message of an event at each target that was given it, and at these targets in any case; oldest first.

    `failed`: given up; what failed so far and is tried again is `waiting`, with its error.
    """
    kept = sa.select(outbox.c.seq, outbox.c.id, outbox.c.body).where(outbox.c.event == event).order_by(outbox.c.seq)
    found = []
    for seq, id_, body in connection.execute(kept).all():
        rows = connection.execute(sa.select(deliveries).where(_D.seq == seq).order_by(_D.target)).all()
        found += [Reached(id_, body, row.target, *_answer(row)) for row in rows]
        given = {row.target for row in rows}
        found += [Reached(id_, body, each, "waiting", None, None) for each in sorted({*targets} - given)]
    return found


def _answer(row: Any) -> tuple[Literal["delivered", "failed", "waiting"], datetime | None, str | None]:
    if row.delivered_at is not None:
        return "delivered", row.delivered_at, None
    return ("failed" if row.given_up_at is not None else "waiting"), row.given_up_at, row.last_error


def delay(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts: doubling from SOONEST to LATEST, the upper half at random."""
    longest = min(LATEST, SOONEST * 2 ** min(attempts, 20))
    return longest * random.uniform(0.5, 1)  # noqa: S311  no secret


def _start(tx: Tx) -> int:
    before = sa.select(sa.func.max(outbox.c.seq)).where(outbox.c.created_at < tx.at - HEARS)
    return tx.execute(before).scalar() or 0


def _deliveries(tx: Tx, target: str, upto: int, events: Collection[str] | None) -> int:
    new = sa.select(
        outbox.c.seq, sa.literal(target), outbox.c.request_id, sa.literal(0), sa.literal(tx.at, _D.next_at.type)
    ).where(outbox.c.seq > upto)
    if events is not None:
        new = new.where(outbox.c.event.in_(events))
    columns = ["seq", "target", "request_id", "attempts", "next_at"]
    return tx.execute(sa.insert(deliveries).from_select(columns, new)).rowcount


def _put_off(
    tx: Tx, target: str, claimed: str, which: Any, errors: dict[int, str] | str, patience: timedelta | None
) -> int:
    rows = tx.execute(sa.select(deliveries).where(which, _WAITS)).all()
    changes = []
    for row in rows:
        since = row.failing_since or tx.at
        over = patience is not None and tx.at - since >= patience
        attempts = row.attempts + (row.claim != claimed)  # counted when claimed; `down` counts what was not
        change = {"failing_since": since, "given_up_at": tx.at if over else None, "claim": None, "attempts": attempts}
        change |= {"last_error": errors if isinstance(errors, str) else errors[row.seq]}
        changes.append(change | {"next_at": tx.at + delay(attempts)})
    for row, change in zip(rows, changes, strict=True):
        one = sa.and_(_D.target == target, _D.seq == row.seq)
        tx.execute(sa.update(deliveries).where(one).values(**change))
    return _log_given_up(tx, target, [change["last_error"] for change in changes if change["given_up_at"]])


def _log_given_up(tx: Tx, target: str, errors: list[str]) -> int:
    if errors:
        tx.log("notifications_given_up", target=target, messages=len(errors), errors=sorted(set(errors)))
    return len(errors)
