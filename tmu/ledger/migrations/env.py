"""What Alembic runs for every command: on the connection that `tmu.ledger.upgrade` gives, within its transaction."""

from alembic import context

from tmu.ledger.schema import metadata
from tmu.ledger.upgrade import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite's, too: all of an upgrade takes effect, or nothing
)
with context.begin_transaction():
    context.run_migrations()
