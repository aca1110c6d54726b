"""Looking at requests: one, many, and the board of dates. Nothing here writes."""

from collections.abc import Collection
from datetime import datetime, tzinfo
from typing import Any

import sqlalchemy as sa

from tmu.ledger import clock, holds
from tmu.ledger.clock import clock_of
from tmu.ledger.schema import approvals, audit_log, evidence, forget_entries, receipts, requests
from tmu.ledger.states import ENDED, OPEN, State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import Request, find

_SECONDS_A_DAY = 86_400


def show(ledger: Ledger, request: str) -> dict[str, Any]:
    """One request: state, date, receipts, approvals, evidence, and its entries in the log. JSON-ready, no keys."""
    with ledger.read() as connection:
        row = find(connection, request)
        value = summary(row, ledger.now(), ledger.zone)
        value["requester"], value["source"], value["plan"] = row.requester, row.source, row.plan_hash
        value["receipts"] = _receipts(connection, row.id)
        value["approvals"] = _rows(connection, approvals, row.id, ("plan_hash", "approver", "approved_at", "voided_at"))
        value["evidence"] = _rows(connection, evidence, row.id, ("kind", "uri", "digest", "attached_at"))
        history = sa.select(audit_log.c.body).where(audit_log.c.request_id == row.id).order_by(audit_log.c.seq)
        value["log"] = list(connection.execute(history).scalars())
    return value


def listing(ledger: Ledger, states: Collection[State] | None = None, most: int | None = None) -> list[dict[str, Any]]:
    """Requests in any of the states (None: all), newest first, at most `most`."""
    wanted = sa.select(requests).order_by(requests.c.received_at.desc(), requests.c.id).limit(most)
    if states is not None:
        wanted = wanted.where(requests.c.state.in_(states))
    with ledger.read() as connection:
        return [summary(row, ledger.now(), ledger.zone) for row in connection.execute(wanted)]


def active_holds(ledger: Ledger) -> list[dict[str, Any]]:
    """The holds in force, JSON-ready."""
    with ledger.read() as connection:
        return [_plain(row) for row in holds.active(connection)]


def board(ledger: Ledger, seconds_each: float | None = None) -> list[dict[str, Any]]:
    """All open requests by date, the most urgent first: days left, percent used, warning, state.

    seconds_each: work for one request, measured; adds `finishes` and `misses`, if they are served one after another in
    the order of their dates. Requests that wait for identity or a hold are not in that queue.
    """
    now, wanted = ledger.now(), sa.select(requests).where(requests.c.state.in_(OPEN))
    with ledger.read() as connection:
        rows = connection.execute(wanted).all()
    rows = sorted(rows, key=lambda row: (clock.due(clock_of(row), now, ledger.zone), row.id))
    value, ahead = [], 0.0
    for row in rows:
        line = summary(row, now, ledger.zone)
        if seconds_each is not None and row.state not in (State.HELD, State.UNVERIFIED):
            outlook = clock.forecast(clock_of(row), now, ahead, seconds_each, ledger.zone)
            line |= {"finishes": outlook.finishes.isoformat(), "misses": outlook.misses}
            ahead += seconds_each
        value.append(line)
    return value


def summary(row: Request, now: datetime, zone: tzinfo) -> dict[str, Any]:
    """A request's line: JSON-ready. days_left: negative when overdue; None, like `warning`, once it has ended."""
    ticking, ended = clock_of(row), row.state in ENDED
    due = clock.due(ticking, now if not ended else row.closed_at, zone)
    return {
        "request": row.id,
        "dataset": row.dataset,
        "state": row.state,
        "since": row.state_since.isoformat(),
        "received": row.received_at.isoformat(),
        "due": due.isoformat(),
        "days_left": None if ended else round((due - now).total_seconds() / _SECONDS_A_DAY, 2),
        "percent": None if ended else round(clock.percent(ticking, now, zone), 1),
        "warning": None if ended else clock.level(ticking, now, zone),
        "paused": bool(row.paused_since) and not ended,
        "extended": row.extended_at is not None,
        "urgent": row.lane == "urgent",
        "batch": row.batch_id,
    }


def _receipts(connection: sa.Connection, request: str) -> list[dict[str, Any]]:
    entry = forget_entries.c
    wanted = (
        sa.select(entry.kind, entry.state, receipts.c.given_at, receipts.c.withdrawn_at)
        .join(receipts, receipts.c.entry_id == entry.id)
        .where(receipts.c.request_id == request)
        .order_by(entry.kind, entry.key)
    )
    return [_plain(row._asdict()) for row in connection.execute(wanted)]


def _rows(connection: sa.Connection, table: sa.Table, request: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    wanted = sa.select(*(table.c[name] for name in names)).where(table.c.request_id == request)
    return [_plain(row._asdict()) for row in connection.execute(wanted.order_by(table.c[names[-1]], table.c.id))]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: part.isoformat() if isinstance(part, datetime) else part for name, part in row.items()}
