"""When the erasing for a batch began: from then on a legal hold comes too late for it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From 0003; rows stay as they are: of an older batch nobody noted when its erasing began."""
    op.add_column("batches", sa.Column("erasing_at", sa.DateTime(timezone=True)))
