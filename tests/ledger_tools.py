"""A ledger in memory, a clock that is set by hand, actors, and short words for the usual steps."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tmu.data.keys import DEMO_SECRET, Keys
from tmu.ledger import approvals, batches, executions, plans
from tmu.ledger.actor import Actor
from tmu.ledger.intake import Intake, Receipt, receive
from tmu.ledger.schema import audit_log, forget_entries, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger

KEYS = Keys(DEMO_SECRET)
ALICE, BOB, FLOW = Actor("alice", "token"), Actor("bob", "token"), Actor("flow", "system")
START = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
PLAN = {"records": 3, "shards": [1, 2]}
STAGES = (State.UNLEARNING, State.AUDITING, State.PROMOTING, State.PURGING, State.VERIFYING)


class Travel:
    """The time, moved by hand."""

    def __init__(self, at: datetime = START):
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def on(self, **by: float) -> None:
        self.at += timedelta(**by)


def in_memory(now: Travel | None = None) -> Ledger:
    return Ledger.open("sqlite://", now=now or Travel())


def asked(id_: str, *people: str, records: tuple[str, ...] = (), dataset: str = "faces", **more: object) -> Intake:
    subjects = tuple(map(KEYS.subject, people))
    return Intake(id=id_, dataset=dataset, subjects=subjects, records=tuple(map(KEYS.record, records)), **more)


def put(ledger: Ledger, id_: str, *people: str, by: Actor = ALICE, **more: object) -> Receipt:
    return receive(ledger, KEYS, asked(id_, *(people or (id_,)), **more), by)


def approved(ledger: Ledger, id_: str, *people: str, plan: dict | None = None, **more: object) -> str:
    """A request brought to `approved`; returns the plan's hash."""
    put(ledger, id_, *people, **more)
    return approve_again(ledger, id_, plan)


def approve_again(ledger: Ledger, id_: str, plan: dict | None = None) -> str:
    plans.bind_plan(ledger, id_, plan or PLAN, subjects=[], actor=FLOW)
    digest = plans.ask_approval(ledger, id_, FLOW)
    approvals.approve(ledger, id_, digest, BOB)
    return digest


def begun(ledger: Ledger, dataset: str = "faces") -> executions.Execution:
    """The approved requests, taken and begun."""
    return executions.begin(ledger, batches.take_batch(ledger, dataset, FLOW).id, FLOW)


def complete(ledger: Ledger, execution: executions.Execution) -> None:
    for stage in STAGES:
        executions.advance(ledger, execution.token, stage, FLOW)
    executions.finish(ledger, execution.token, "completed", FLOW)


def state(ledger: Ledger, id_: str) -> State:
    with ledger.read() as connection:
        return State(connection.scalar(sa.select(requests.c.state).where(requests.c.id == id_)))


def entry_states(ledger: Ledger, person: str) -> list[str]:
    wanted = sa.select(forget_entries.c.state).where(forget_entries.c.key == KEYS.subject(person))
    with ledger.read() as connection:
        return list(connection.scalars(wanted.order_by(forget_entries.c.state)))


def events(ledger: Ledger, id_: str | None = None) -> list[str]:
    wanted = sa.select(audit_log.c.event).order_by(audit_log.c.seq)
    with ledger.read() as connection:
        return list(connection.scalars(wanted if id_ is None else wanted.where(audit_log.c.request_id == id_)))


def bodies(ledger: Ledger) -> list[str]:
    with ledger.read() as connection:
        return list(connection.scalars(sa.select(audit_log.c.body).order_by(audit_log.c.seq)))


@contextmanager
def tampering(ledger: Ledger) -> Iterator[sqlite3.Connection]:
    """What an intruder with the file at hand does: no triggers, no transaction of ours."""
    with ledger.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        for name in ("no_update", "no_delete", "next"):
            raw.execute(f"DROP TRIGGER IF EXISTS audit_log_{name}")
        yield raw
