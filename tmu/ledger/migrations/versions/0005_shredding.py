"""Which secret a request's keys are under; when they were destroyed, and the bytes of their rows after them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From 0004; rows stay as they are: an older request is under the first secret, and nothing of it was destroyed."""
    op.add_column("requests", sa.Column("key_id", sa.String(16)))
    op.add_column("requests", sa.Column("shredded_at", sa.DateTime(timezone=True)))
    op.add_column("requests", sa.Column("rewritten_at", sa.DateTime(timezone=True)))
    op.add_column("plans", sa.Column("redacted", sa.String(64)))
