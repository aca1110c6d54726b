"""Bring a ledger's tables to the version of this program, in the transaction of the caller."""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tmu.errors import StorageError

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "ledger_version"
NEWEST = "0005"
"""The newest migration (a test compares it with the folder), so that opening a current ledger needs no Alembic."""


def version_of(connection: sa.Connection) -> str | None:
    """The version of a ledger's tables; None for an empty database."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))


def upgrade(connection: sa.Connection) -> None:
    """Run the migrations that are missing. Raises StorageError for a ledger of a newer program.

    The connection's transaction must exclude other writers; it is left open.
    """
    version = version_of(connection)
    if version == NEWEST:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise StorageError(
            f"The ledger is of version {version}, which is newer than this program's ({NEWEST}).",
            "Use the newer tmu; a ledger is never taken back to an older version.",
        )
    command.upgrade(config, "head")


def alembic_config(connection: sa.Connection) -> "Config":
    """Alembic's configuration, for the migrations of this package on that connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
