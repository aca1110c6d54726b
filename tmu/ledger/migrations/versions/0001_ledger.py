"""The first ledger: all tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_KEY, _HASH, _ID = sa.String(32), sa.String(64), sa.String(64)
_STATES = (
    "received", "unverified", "queued", "held", "planned", "awaiting_approval", "approved", "forgetting_data",
    "unlearning", "auditing", "escalated_retrain", "promoting", "purging", "verifying", "completed", "denied",
    "duplicate", "cancelled", "partially_failed", "failed",
)  # fmt: skip


def upgrade() -> None:
    """From nothing."""
    _requests()
    _entries()
    _decisions()
    _executions()
    _log()


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})")


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _of_request(**more: Any) -> sa.Column[Any]:
    return sa.Column("request_id", _ID, sa.ForeignKey("requests.id"), nullable=False, **more)


def _unique_where(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=True, sqlite_where=where, postgresql_where=where)


def _requests() -> None:
    op.create_table(
        "batches",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("dataset", sa.String(100), nullable=False),
        sa.Column("lane", sa.String(10), nullable=False),
        _time("opened_at"),
        _time("closed_at", nullable=True),
        sa.Column("outcome", sa.String(20)),
        sa.Column("attempts_allowed", sa.Integer, nullable=False),
        _one_of("lane", "normal", "urgent"),
    )
    _unique_where("one_open_batch", "batches", ["dataset"], "closed_at IS NULL")
    op.create_table(
        "requests",
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
        _one_of("state", *_STATES),
        _one_of("lane", "normal", "urgent"),
    )
    op.create_index("requests_by_state", "requests", ["dataset", "state"])
    op.create_index("requests_by_batch", "requests", ["batch_id"])


def _entries() -> None:
    op.create_table(
        "request_keys",
        _of_request(primary_key=True),
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("named", sa.Boolean, nullable=False),
        _one_of("kind", "subject", "record"),
    )
    op.create_index("request_keys_by_key", "request_keys", ["kind", "key"])
    op.create_table(
        "forget_entries",
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
    _unique_where("one_open_entry", "forget_entries", ["dataset", "kind", "key"], "state = 'open'")
    op.create_table(
        "receipts",
        sa.Column("entry_id", _KEY, sa.ForeignKey("forget_entries.id"), primary_key=True),
        _of_request(primary_key=True),
        _time("given_at"),
        _time("withdrawn_at", nullable=True),
    )
    op.create_index("receipts_by_request", "receipts", ["request_id"])


def _decisions() -> None:
    op.create_table(
        "plans",
        sa.Column("id", _KEY, primary_key=True),
        _of_request(),
        sa.Column("hash", _HASH, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        _time("bound_at"),
        _time("voided_at", nullable=True),
    )
    op.create_index("plans_by_request", "plans", ["request_id"])
    op.create_table(
        "approvals",
        sa.Column("id", _KEY, primary_key=True),
        _of_request(),
        sa.Column("plan_id", _KEY, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("plan_hash", _HASH, nullable=False),
        sa.Column("approver", sa.String(64), nullable=False),
        _time("approved_at"),
        _time("voided_at", nullable=True),
    )
    op.create_index("approvals_by_request", "approvals", ["request_id"])
    op.create_table(
        "holds",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("scope", sa.String(10), nullable=False),
        sa.Column("dataset", sa.String(100)),
        sa.Column("subject", _KEY),
        sa.Column("reason", sa.String(200), nullable=False),
        _time("placed_at"),
        _time("released_at", nullable=True),
        _one_of("scope", "all", "dataset", "subject"),
    )
    op.create_index("holds_by_scope", "holds", ["scope", "subject"])


def _executions() -> None:
    op.create_table(
        "executions",
        sa.Column("token", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("batch_id", _ID, sa.ForeignKey("batches.id"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        _time("started_at"),
        _time("finished_at", nullable=True),
        sa.Column("outcome", sa.String(20)),
        sa.UniqueConstraint("batch_id", "attempt"),
    )
    op.create_table(
        "evidence",
        sa.Column("id", _KEY, primary_key=True),
        _of_request(),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("uri", sa.String(500), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        _time("attached_at"),
    )
    op.create_index("evidence_by_request", "evidence", ["request_id"])


def _log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("request_id", _ID),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("hash", _HASH, nullable=False),
    )
    op.create_index("audit_log_by_request", "audit_log", ["request_id"])
