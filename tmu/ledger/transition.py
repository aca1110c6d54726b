"""The only place that gives a request a state: what `states.ALLOWED` does not list cannot happen."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.outbox import announce_state
from tmu.ledger.schema import requests
from tmu.ledger.states import ENDED, State, check_move
from tmu.ledger.store import Tx
from tmu.ledger.words import request_id_of

Request = sa.Row[Any]
"""A row of `requests`."""


def find(connection: sa.Connection, request: str) -> Request:
    """A request. Raises UnknownError."""
    wanted = sa.select(requests).where(requests.c.id == request_id_of(request))
    row = connection.execute(wanted).first()
    if row is None:
        raise UnknownError(f"There is no request {request}.", "`tmu request list` lists them.")
    return row


def enter(tx: Tx, request: str, path: Sequence[State], **facts: Any) -> State:
    """Log how a new request comes to its first resting state; returns that state, in which its row is inserted.

    path: from `received` on. facts go with the first entry.
    """
    tx.log(path[0], request, **{"to": path[0], **facts})
    announce_state(tx, request, path[0], **facts)
    for old, new in pairwise(path):
        check_move(request, old, new)
        tx.log(new, request, **{"from": old, "to": new})
        announce_state(tx, request, new)
    return path[-1]


def move(
    tx: Tx,
    row: Request,
    to: State,
    *,
    reason: str | None = None,
    event: str | None = None,
    facts: dict[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Change a request's state and log it with actor, time and reason. Raises ConflictError where that is not allowed.

    event: how the log names it; default: the new state. columns: further columns of the row that change with it.
    An approved request that steps back leaves its batch.
    """
    old = State(row.state)
    check_move(row.id, old, to)
    changes = {"state": to, "state_since": tx.at, **columns}
    if to in ENDED:
        changes["closed_at"] = tx.at
    if old is State.APPROVED and to is not State.FORGETTING_DATA:
        changes["batch_id"] = None
    unchanged = sa.and_(requests.c.id == row.id, requests.c.state == old)
    if tx.execute(sa.update(requests).where(unchanged).values(**changes)).rowcount != 1:
        raise ConflictError(f"Request {row.id} is no longer `{old}`.", "Look at it again.")
    tx.log(event or to, row.id, reason, **{"from": old, "to": to, **(facts or {})})
    announce_state(tx, row.id, to, **{"from": old, **(facts or {})})


def note(tx: Tx, row: Request, event: str, *, reason: str | None = None, facts: Any = None, **columns: Any) -> None:
    """Change columns of a request other than its state, and log it."""
    if columns:
        tx.execute(sa.update(requests).where(requests.c.id == row.id).values(**columns))
    tx.log(event, row.id, reason, **(facts or {}))
