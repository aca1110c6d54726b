"""Legal holds: on a subject, a dataset, or everything. What they cover is received, gets its receipt, and waits.

A hold reaches every request of which nothing was erased; its clock runs on. Released requests are planned anew, for the
data may have changed since. Once the erasing has begun (`executions.begin_erasing`) a hold comes too late: that is
said and logged, the deletion is finished and flagged, and what is left of the records must not be purged.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from tmu.errors import RequestError
from tmu.ledger import entries, voiding
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.schema import batches, holds, request_keys, requests
from tmu.ledger.states import RUNNING, STUCK, WAITING, State
from tmu.ledger.store import Ledger, Tx
from tmu.ledger.transition import Request, find, move
from tmu.ledger.words import reason_of

TOO_LATE = "hold_too_late"


@dataclass(frozen=True)
class Scope:
    """What a hold covers: `all`, a dataset, or a subject (its HMAC key) in every dataset."""

    kind: Literal["all", "dataset", "subject"]
    dataset: str | None = None
    subject: str | None = None

    def __post_init__(self) -> None:
        given = {"dataset": self.dataset is not None, "subject": self.subject is not None}
        if any(given[name] != (name == self.kind) for name in given):
            raise RequestError("The hold's scope is not clear.", "Name one subject, or one dataset, or everything.")


class Placed(NamedTuple):
    """A hold in force. stopped: the requests that it stops now. too_late: those whose erasing has begun.

    A request that is being executed but of which nothing was erased is in neither: it is stopped before the erasing.
    """

    id: str
    stopped: list[str]
    too_late: list[str]


def hold(ledger: Ledger, scope: Scope, reason: str, actor: Actor) -> Placed:
    """Place a hold."""
    with ledger.write(actor) as tx:
        id_ = secrets.token_hex(16)
        row = {"id": id_, "scope": scope.kind, "dataset": scope.dataset, "subject": scope.subject}
        tx.execute(sa.insert(holds), [row | {"reason": reason_of(reason), "placed_at": tx.at}])
        tx.log("hold_placed", None, reason, hold=id_, scope=scope.kind, dataset=scope.dataset)
        stopped = [row for row in _covered(tx, scope) if row.state in WAITING]
        for row in stopped:
            stop(tx, row, id_)
        late = _being_erased(tx, scope)
        for row in late:
            tx.log(TOO_LATE, row.id, hold=id_)
        return Placed(id_, [row.id for row in stopped], [row.id for row in late])


def release(ledger: Ledger, hold_id: str, reason: str, actor: Actor) -> list[str]:
    """Release a hold. Returns the requests that go on; those under another hold stay held."""
    with ledger.write(actor) as tx:
        row = tx.execute(sa.select(holds).where(holds.c.id == hold_id)).first()
        if row is None:
            raise UnknownError("There is no hold of that id.", "`tmu request list --holds` lists them.")
        if row.released_at is not None:
            raise ConflictError("That hold was released before.", "Nothing is left to do.")
        tx.execute(sa.update(holds).where(holds.c.id == hold_id).values(released_at=tx.at))
        tx.log("hold_released", None, reason, hold=hold_id, scope=row.scope, dataset=row.dataset)
        covered = [each for each in _covered(tx, Scope(row.scope, row.dataset, row.subject)) if each.state == "held"]
        still = held_of(tx, covered)
        free = [each for each in covered if each.id not in still]
        for each in free:
            _go_on(tx, each, hold_id)
        return [each.id for each in free]


def stop(tx: Tx, row: Request, hold_id: str | None) -> None:
    """Move a waiting request to `held`; its plan and approval are void."""
    voiding.void(tx, row.id)
    move(tx, row, State.HELD, facts={"hold": hold_id}, plan_hash=None)


def held_among(tx: Tx | sa.Connection, asked: Sequence[tuple[str, str, Iterable[str]]]) -> set[str]:
    """Which of the requests (id, dataset, subject keys) an active hold covers."""
    live = holds.c.released_at.is_(None)
    broad = tx.execute(
        sa.select(holds.c.scope, holds.c.dataset).where(live, holds.c.scope.in_(("all", "dataset")))
    ).all()
    if any(row.scope == "all" for row in broad):
        return {request for request, _, _ in asked}
    datasets, people = {row.dataset for row in broad}, set()
    for part in entries.chunks(sorted({key for _, _, keys in asked for key in keys})):
        on_people = sa.select(holds.c.subject).where(live, holds.c.scope == "subject", holds.c.subject.in_(part))
        people.update(tx.execute(on_people).scalars())
    return {id_ for id_, dataset, keys in asked if dataset in datasets or not people.isdisjoint(keys)}


def held_of(tx: Tx, rows: Sequence[Request]) -> set[str]:
    """Which of the requests an active hold covers, by name or by the people that their plans found."""
    return held_among(tx, [(row.id, row.dataset, subjects_of(tx, row.id)) for row in rows])


def subjects_of(tx: Tx | sa.Connection, request: str) -> Sequence[str]:
    """The subject keys of a request: those named, and those that its plan found behind records."""
    wanted = sa.select(request_keys.c.key).where(request_keys.c.request_id == request, request_keys.c.kind == "subject")
    return tx.execute(wanted).scalars().all()


def active(connection: sa.Connection) -> list[dict[str, Any]]:
    """The holds that are in force, oldest first."""
    wanted = sa.select(holds).where(holds.c.released_at.is_(None)).order_by(holds.c.placed_at, holds.c.id)
    return [row._asdict() for row in connection.execute(wanted)]


def _covered(tx: Tx, scope: Scope) -> Sequence[Request]:
    """Requests before the point of no return that a scope covers, oldest first."""
    return _of_scope(tx, scope, requests.c.state.in_([*WAITING, State.HELD]))


def _being_erased(tx: Tx, scope: Scope) -> Sequence[Request]:
    """Requests that a scope covers and of which something may be erased, but which have not ended."""
    begun = sa.select(batches.c.id).where(batches.c.erasing_at.is_not(None))
    further = requests.c.state.in_([state for state in RUNNING if state is not State.FORGETTING_DATA])
    of_begun = sa.and_(requests.c.state.in_([*RUNNING, *STUCK]), requests.c.batch_id.in_(begun))
    return _of_scope(tx, scope, sa.or_(further, of_begun))


def _of_scope(tx: Tx, scope: Scope, which: sa.ColumnElement[bool]) -> Sequence[Request]:
    wanted = sa.select(requests).where(which)
    if scope.kind == "dataset":
        wanted = wanted.where(requests.c.dataset == scope.dataset)
    elif scope.kind == "subject":
        named = sa.and_(request_keys.c.kind == "subject", request_keys.c.key == scope.subject)
        wanted = wanted.where(requests.c.id.in_(sa.select(request_keys.c.request_id).where(named)))
    return tx.execute(wanted.order_by(requests.c.received_at, requests.c.id)).all()


def _go_on(tx: Tx, row: Request, hold_id: str) -> None:
    to = State.QUEUED if row.identity_verified_at else State.UNVERIFIED
    move(tx, row, to, event="released", facts={"hold": hold_id})
    entries.close_if_forgotten(tx, find(tx.connection, row.id))
