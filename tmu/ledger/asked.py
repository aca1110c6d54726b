"""What a request asks for: the keys that it names, and pages of requests. For planning and for callers of the API."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from tmu.ledger.entries import chunks
from tmu.ledger.schema import request_keys, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find
from tmu.ledger.views import summary


def named_keys(connection: sa.Connection, request: str) -> tuple[list[str], list[str]]:
    """Subject and record keys that a request names, ascending; not the people whom only its plan found."""
    return named_keys_of(connection, [request])[request]


def named_keys_of(connection: sa.Connection, asked: Collection[str]) -> dict[str, tuple[list[str], list[str]]]:
    """The same for many requests."""
    found: dict[str, tuple[list[str], list[str]]] = {request: ([], []) for request in asked}
    table = request_keys.c
    for part in chunks(found):
        mine = sa.select(table.request_id, table.kind, table.key).where(table.request_id.in_(part), table.named)
        for request, kind, key in connection.execute(mine.order_by(table.key)):
            found[request][kind == "record"].append(key)
    return found


def waiting_for_a_plan(connection: sa.Connection, dataset: str, most: int) -> list[str]:
    """A dataset's queued requests, oldest first, at most `most`."""
    queued = sa.select(requests.c.id).where(requests.c.dataset == dataset, requests.c.state == State.QUEUED)
    return list(connection.scalars(queued.order_by(requests.c.received_at, requests.c.id).limit(most)))


def page(
    ledger: Ledger,
    most: int,
    *,
    states: Collection[State] = (),
    requester: str | None = None,
    urgent: bool | None = None,
    after: str | None = None,
) -> list[dict[str, Any]]:
    """At most `most` requests, newest first, that follow the request `after`; what comes in meanwhile moves no page.

    Empty `states`, None: not filtered. Raises UnknownError where there is no request `after`.
    """
    table = requests.c
    wanted = sa.select(requests).order_by(table.received_at.desc(), table.id).limit(most)
    for column, value in ((table.requester, requester), (table.lane, None if urgent is None else _lane(urgent))):
        wanted = wanted if value is None else wanted.where(column == value)
    if states:
        wanted = wanted.where(table.state.in_(states))
    with ledger.read() as connection:
        if after is not None:
            last = find(connection, after)
            later = sa.and_(table.received_at == last.received_at, table.id > last.id)
            wanted = wanted.where(sa.or_(table.received_at < last.received_at, later))
        return [summary(row, ledger.now(), ledger.zone) for row in connection.execute(wanted)]


def _lane(urgent: bool) -> str:
    return "urgent" if urgent else "normal"
