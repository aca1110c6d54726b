"""The watch over dates: each warning is logged and announced once, a forecast of missing the date once a day.

What was told before is read from the log itself, so that a watch may run as often as it likes, and two at once.
"""

import json
from collections import defaultdict
from collections.abc import Collection
from statistics import median
from typing import Any

import sqlalchemy as sa

from tmu.ledger import clock, entries, views
from tmu.ledger.actor import Actor
from tmu.ledger.clock import clock_of
from tmu.ledger.outbox import announce
from tmu.ledger.schema import audit_log, executions, requests
from tmu.ledger.states import OPEN
from tmu.ledger.store import Ledger, Tx
from tmu.ledger.transition import Request

WARNING, MISS = "deadline_warning", "will_miss"
_RECENT = 20
"""Executions from which the pace is taken."""


def watch(ledger: Ledger, actor: Actor, seconds_each: float | None) -> list[dict[str, Any]]:
    """Tell what has become due to be told; returns it: `request`, `event` and the message's facts. Idempotent.

    `deadline_warning` for each level (50, 80, 100 %) that a request has reached, again after an extension, which
    starts a new count; `will_miss` once a day (in the ledger's zone) for a request that is not overdue yet.
    seconds_each: work for one request, see `pace`; None: no forecast.
    """
    board = {line["request"]: line for line in views.board(ledger, seconds_each)}
    wanted = [id_ for id_, line in board.items() if line["warning"] or line.get("misses")]
    if not wanted:
        return []
    told = []
    with ledger.write(actor) as tx:
        known = _told(tx, wanted)
        for row in _still_open(tx, wanted):
            told += _warn(tx, row, known[row.id]) + _foresee(tx, row, known[row.id], board[row.id])
    return told


def pace(ledger: Ledger) -> float | None:
    """Seconds that a request took lately (median of batches that completed at their first attempt); None: unknown."""
    served = sa.select(sa.func.count()).where(requests.c.batch_id == executions.c.batch_id).scalar_subquery()
    done = sa.select(executions.c.started_at, executions.c.finished_at, served.label("served")).where(
        executions.c.outcome == "completed", executions.c.attempt == 1
    )
    with ledger.read() as connection:
        rows = connection.execute(done.order_by(executions.c.token.desc()).limit(_RECENT)).all()
    each = [(row.finished_at - row.started_at).total_seconds() / row.served for row in rows if row.served]
    return median(each) if each else None


def _told(tx: Tx, ids: Collection[str]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """What was told of each request before: events with their facts."""
    found = defaultdict(list)
    log = audit_log.c
    for part in entries.chunks(ids):
        wanted = sa.select(log.request_id, log.event, log.body)
        wanted = wanted.where(log.request_id.in_(part), log.event.in_((WARNING, MISS)))
        for row in tx.execute(wanted):
            found[row.request_id].append((row.event, json.loads(row.body)["facts"]))
    return found


def _still_open(tx: Tx, ids: Collection[str]) -> list[Request]:
    rows = []
    for part in entries.chunks(ids):
        rows += tx.execute(sa.select(requests).where(requests.c.id.in_(part), requests.c.state.in_(OPEN))).all()
    return rows


def _warn(tx: Tx, row: Request, known: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    ticking = clock_of(row)
    reached = clock.level(ticking, tx.at, tx.zone)
    before = {(facts["level"], facts["extended"]) for event, facts in known if event == WARNING}
    due = clock.due(ticking, tx.at, tx.zone).isoformat()
    new = [level for level in clock.LEVELS if level <= reached and (level, ticking.extended) not in before]
    return [_tell(tx, row.id, WARNING, level=level, extended=ticking.extended, due=due) for level in new]


def _foresee(
    tx: Tx, row: Request, known: list[tuple[str, dict[str, Any]]], line: dict[str, Any]
) -> list[dict[str, Any]]:
    day = tx.at.astimezone(tx.zone).date().isoformat()
    overdue = clock.percent(clock_of(row), tx.at, tx.zone) >= 100
    if overdue or not line.get("misses") or any(event == MISS and facts["day"] == day for event, facts in known):
        return []
    return [_tell(tx, row.id, MISS, day=day, due=line["due"], finishes=line["finishes"])]


def _tell(tx: Tx, request: str, event: str, **facts: Any) -> dict[str, Any]:
    tx.log(event, request, **facts)
    announce(tx, event, request, **facts)
    return {"request": request, "event": event, **facts}
