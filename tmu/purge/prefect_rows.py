"""Old rows of flow runs in the database of Prefect's server: what was changed or deleted stays in the table's file."""

from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import make_url

from tmu.errors import StorageError
from tmu.files import write_atomic
from tmu.settings import Settings

_SECONDS_BUSY = 30
_REWRITE = (
    f"SET lock_timeout = '{_SECONDS_BUSY}s'",
    "VACUUM FULL flow_run",
    "ANALYZE flow_run",  # the old statistics hold samples of parameters
    "VACUUM FULL pg_statistic",
)


class OldRows:
    """A mark in the workspace says that some wait to be overwritten; it outlasts a crash. mark: that file."""

    def __init__(self, settings: Settings, mark: Path) -> None:
        database = settings.prefect_database
        self._url = make_url(database.get_secret_value()) if database else None
        self._mark = mark

    @property
    def wait(self) -> bool:
        """Whether runs were changed since the last rewriting."""
        return self._mark.exists()

    @property
    def reachable(self) -> bool:
        """Whether the settings know the database (`prefect_database`)."""
        return self._url is not None and self._url.get_backend_name() == "postgresql"

    def note(self) -> None:
        """Write the mark, before a run is changed."""
        if not self.wait:
            write_atomic(self._mark, b"")

    def rewrite(self) -> None:
        """Rewrite the table and its statistics; the server waits meanwhile. Raises StorageError where it refuses."""
        if self._url is None:
            return
        engine = sa.create_engine(self._url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for statement in _REWRITE:
                    connection.exec_driver_sql(statement)
        except exc.SQLAlchemyError as error:
            what = f"The database of Prefect's server refuses to be rewritten ({type(error).__name__})."
            raise StorageError(what, "See its log: `make logs`; then run the same command again.") from error
        with suppress(FileNotFoundError):
            self._mark.unlink()
