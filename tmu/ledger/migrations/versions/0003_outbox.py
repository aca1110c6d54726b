"""An outbox, who listens, and what reached whom; and the orchestrator's run of an execution."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TARGET = sa.String(8)


def upgrade() -> None:
    """From 0002; rows stay as they are."""
    op.add_column("executions", sa.Column("run", sa.String(64)))
    op.create_table(
        "outbox",
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("request_id", sa.String(64)),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        _time("created_at"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "listeners",
        sa.Column("target", _TARGET, primary_key=True),
        sa.Column("upto", _SEQ, nullable=False),
        _time("since"),
    )
    op.create_table(
        "deliveries",
        sa.Column("seq", _SEQ, sa.ForeignKey("outbox.seq"), primary_key=True, autoincrement=False),
        sa.Column("target", _TARGET, primary_key=True),
        sa.Column("request_id", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        _time("next_at"),
        sa.Column("claim", sa.String(16)),
        _time("failing_since", nullable=True),
        _time("delivered_at", nullable=True),
        _time("given_up_at", nullable=True),
        sa.Column("last_error", sa.String(40)),
    )
    waits = sa.text("delivered_at IS NULL AND given_up_at IS NULL")
    columns = ["target", "request_id", "seq"]
    op.create_index("deliveries_waiting", "deliveries", columns, sqlite_where=waits, postgresql_where=waits)


def _time(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
