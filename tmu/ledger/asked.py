"""What a request asks for: the keys that it names, and pages of requests. For planning and for callers of the API."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from tmu.ledger.schema import request_keys, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find
from tmu.ledger.views import summary


def named_keys(connection: sa.Connection, request: str) -> tuple[list[str], list[str]]:
    """Subject and record keys that a request names, ascending; not the people whom only its plan found."""
    mine = sa.select(request_keys.c.kind, request_keys.c.key).where(
        request_keys.c.request_id == request, request_keys.c.named
    )
    rows = connection.execute(mine.order_by(request_keys.c.key)).all()
    return [row.key for row in rows if row.kind == "subject"], [row.key for row in rows if row.kind == "record"]


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
