"""The tables. Portable SQL: SQLite and PostgreSQL; times are UTC and aware. Changed by migrations only (`migrations/`).

Keys (HMAC) of people and records are in `request_keys`, `forget_entries`, `holds`, and digests of them in
`requests.payload_mac` and the plans' bodies, nowhere else: destroying these leaves the audit log whole (`shred.py`).
"""

from typing import Any

import sqlalchemy as sa

from tmu.ledger.states import State
from tmu.ledger.utc_time import UtcTime

metadata = sa.MetaData()
_KEY, _HASH, _ID = sa.String(32), sa.String(64), sa.String(64)
_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})")


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, UtcTime, nullable=nullable)


def _of_request(**more: Any) -> sa.Column[Any]:
    return sa.Column("request_id", _ID, sa.ForeignKey("requests.id"), nullable=False, **more)


batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("lane", sa.String(10), nullable=False),
    _time("opened_at"),
    _time("closed_at", nullable=True),
    sa.Column("outcome", sa.String(20)),
    sa.Column("attempts_allowed", sa.Integer, nullable=False),
    _one_of("lane", "normal", "urgent"),
    _time("erasing_at", nullable=True),  # the first byte may have gone since
)
ONE_OPEN_BATCH = sa.Index(
    "one_open_batch",
    batches.c.dataset,
    unique=True,
    sqlite_where=batches.c.closed_at.is_(None),
    postgresql_where=batches.c.closed_at.is_(None),
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    _time("state_since"),
    sa.Column("lane", sa.String(10), nullable=False),
    sa.Column("source", sa.String(10), nullable=False),
    sa.Column("requester", sa.String(64), nullable=False),
    sa.Column("payload_mac", _HASH, nullable=False),
    _time("received_at"),
    _time("identity_verified_at", nullable=True),
    _time("paused_since", nullable=True),
    sa.Column("paused_seconds", sa.Integer, nullable=False),
    _time("extended_at", nullable=True),
    _time("closed_at", nullable=True),
    sa.Column("plan_hash", _HASH),
    sa.Column("batch_id", _ID, sa.ForeignKey("batches.id")),
    sa.Column("key_id", sa.String(16)),  # of the secret that its keys are under; none: the first one
    _time("shredded_at", nullable=True),  # its keys are commitments since
    _time("rewritten_at", nullable=True),  # the old bytes of its rows are gone from the database's files since
    _one_of("state", *State),
    _one_of("lane", "normal", "urgent"),
    sa.Index("requests_by_state", "dataset", "state"),
    sa.Index("requests_by_batch", "batch_id"),
)

request_keys = sa.Table(
    "request_keys",
    metadata,
    _of_request(primary_key=True),
    sa.Column("kind", sa.String(10), primary_key=True),
    sa.Column("key", _KEY, primary_key=True),
    sa.Column("named", sa.Boolean, nullable=False),  # false: a subject that the plan found behind a record
    _one_of("kind", "subject", "record"),
    sa.Index("request_keys_by_key", "kind", "key"),
)

forget_entries = sa.Table(
    "forget_entries",
    metadata,
    sa.Column("id", _KEY, primary_key=True),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("key", _KEY, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    _time("opened_at"),
    _time("closed_at", nullable=True),
    _one_of("kind", "subject", "record"),
    _one_of("state", "open", "taken", "forgotten", "withdrawn"),
)
ONE_OPEN_ENTRY = sa.Index(
    "one_open_entry",
    forget_entries.c.dataset,
    forget_entries.c.kind,
    forget_entries.c.key,
    unique=True,
    sqlite_where=forget_entries.c.state == "open",
    postgresql_where=forget_entries.c.state == "open",
)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("entry_id", _KEY, sa.ForeignKey("forget_entries.id"), primary_key=True),
    _of_request(primary_key=True),
    _time("given_at"),
    _time("withdrawn_at", nullable=True),
    sa.Index("receipts_by_request", "request_id"),
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("id", _KEY, primary_key=True),
    _of_request(),
    sa.Column("hash", _HASH, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # canonical JSON, the bytes that were hashed
    _time("bound_at"),
    _time("voided_at", nullable=True),
    sa.Column("redacted", _HASH),  # SHA-256 of what is left of the body after its digests of keys were destroyed
    sa.Index("plans_by_request", "request_id"),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", _KEY, primary_key=True),
    _of_request(),
    sa.Column("plan_id", _KEY, sa.ForeignKey("plans.id"), nullable=False),
    sa.Column("plan_hash", _HASH, nullable=False),
    sa.Column("approver", sa.String(64), nullable=False),
    _time("approved_at"),
    _time("voided_at", nullable=True),
    sa.Index("approvals_by_request", "request_id"),
)

executions = sa.Table(
    "executions",
    metadata,
    sa.Column("token", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("batch_id", _ID, sa.ForeignKey("batches.id"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    _time("started_at"),
    _time("finished_at", nullable=True),
    sa.Column("outcome", sa.String(20)),
    sa.UniqueConstraint("batch_id", "attempt"),
    sa.Column("run", sa.String(64)),  # the orchestrator's id of the run that did it
)

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("id", _KEY, primary_key=True),
    _of_request(),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("uri", sa.String(500), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    _time("attached_at"),
    sa.Index("evidence_by_request", "request_id"),
)

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", _KEY, primary_key=True),
    sa.Column("scope", sa.String(10), nullable=False),
    sa.Column("dataset", sa.String(100)),
    sa.Column("subject", _KEY),
    sa.Column("reason", sa.String(200), nullable=False),
    _time("placed_at"),
    _time("released_at", nullable=True),
    _one_of("scope", "all", "dataset", "subject"),
    sa.Index("holds_by_scope", "scope", "subject"),
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),
    sa.Column("request_id", _ID),  # no foreign key: the log outlives what it tells of
    sa.Column("event", sa.String(40), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("hash", _HASH, nullable=False),
    sa.Index("audit_log_by_request", "request_id"),
)

outbox = sa.Table(  # messages to others, in the order of what they tell of; pruned once told
    "outbox",
    metadata,
    sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("request_id", _ID),  # no foreign key: some tell of no request
    sa.Column("event", sa.String(40), nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # canonical JSON, the bytes that are sent
    _time("created_at"),
    sqlite_autoincrement=True,  # a number is never used again: `listeners.upto` relies on it
)

listeners = sa.Table(  # up to which message each target has its deliveries
    "listeners",
    metadata,
    sa.Column("target", sa.String(8), primary_key=True),  # leading digits of its address's digest
    sa.Column("upto", _SEQ, nullable=False),
    _time("since"),
)

deliveries = sa.Table(  # one message to one target
    "deliveries",
    metadata,
    sa.Column("seq", _SEQ, sa.ForeignKey("outbox.seq"), primary_key=True, autoincrement=False),
    sa.Column("target", sa.String(8), primary_key=True),
    sa.Column("request_id", _ID),
    sa.Column("attempts", sa.Integer, nullable=False),
    _time("next_at"),  # while claimed: when the claim ends
    sa.Column("claim", sa.String(16)),
    _time("failing_since", nullable=True),
    _time("delivered_at", nullable=True),
    _time("given_up_at", nullable=True),
    sa.Column("last_error", sa.String(40)),  # its kind only
)
_waits = sa.and_(deliveries.c.delivered_at.is_(None), deliveries.c.given_up_at.is_(None))
DELIVERIES_WAITING = sa.Index(
    "deliveries_waiting",
    deliveries.c.target,
    deliveries.c.request_id,
    deliveries.c.seq,
    sqlite_where=_waits,
    postgresql_where=_waits,
)
