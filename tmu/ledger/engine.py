"""The connection to the ledger's database, and its refusals in the house's words.

One writer at a time: a writing transaction takes the whole ledger from its first statement on (SQLite: BEGIN IMMEDIATE;
PostgreSQL: an advisory lock), because each entry of the log needs the hash of the one before. What it reads it may rely
on until it ends. To serve many callers, put several intakes into one transaction (`intake.receive_all`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, make_url

from tmu.errors import ConfigError, StorageError
from tmu.files import storage_errors

SECONDS_BUSY = 30
"""How long a writer waits for its turn."""
_SECONDS_CONNECT = 5
_SECONDS_POOL = 10
_PG_LOCK = 0x746D75  # "tmu"
_ISOLATION = {
    # a writer waits for its turn in its first statement: what it reads then must be what the one before it left
    True: "READ COMMITTED",
    False: "REPEATABLE READ",  # one state of the ledger for all that is read; SQLite reads so by itself
}
_AGAIN = "Run the same command again; nothing was changed."
_SERVER = "Check that its server runs, and whether the call took effect; if not, run it again."
_RESTORE = "Restore it from a backup, and compare the log's head with the one noted last."
_REFUSALS = {  # by SQLite's primary result code
    5: ("is locked by another process", _AGAIN),
    6: ("is locked by another process", _AGAIN),
    8: ("cannot be written", "Choose a place that can be written, or change its permissions."),
    10: ("cannot be read or written: the disk reports an error", "Check the disk, then run the same command again."),
    11: ("is damaged", _RESTORE),
    13: ("cannot grow: the disk is full", f"Free some space. {_AGAIN}"),
    14: ("cannot be opened", "Check that its folder exists and that you may read and write there."),
    26: ("is damaged, or is no ledger", _RESTORE),
}


def connect(url: str) -> sa.Engine:
    """The engine of a ledger. Raises ConfigError for an address that names no database this installation can use."""
    try:
        parsed = make_url(url)
        engine = sa.create_engine(parsed, **_patience(parsed))
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError, ValueError) as error:
        raise ConfigError(
            "Setting `ledger` names no database that can be used here.",
            "Write sqlite:////absolute/path/ledger.db, or postgresql+psycopg://… with that driver installed.",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(engine)
        _create_private(parsed)
    elif parsed.get_backend_name() != "postgresql":
        raise ConfigError(f"The ledger cannot live in {parsed.get_backend_name()}.", "Use SQLite or PostgreSQL.")
    return engine


def _patience(url: URL) -> dict[str, Any]:
    """How a server is waited for. A connection that died (the server was restarted) is made anew before it is used."""
    if url.get_backend_name() != "postgresql":
        return {}
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_timeout": _SECONDS_POOL}
    if "psycopg" in url.drivername and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": _SECONDS_CONNECT}
    return options


@contextmanager
def transaction(engine: sa.Engine, *, writes: bool) -> Iterator[sa.Connection]:
    """A transaction, committed at the end of the block. Raises StorageError where the database refuses."""
    with refusals(engine.url), engine.connect() as plain:
        connection = plain.execution_options(tmu_writes=writes)
        server = engine.dialect.name == "postgresql"
        if server:  # whatever the database's default is
            connection = connection.execution_options(isolation_level=_ISOLATION[writes])
        with connection.begin():
            if server and writes:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{SECONDS_BUSY}s'")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_PG_LOCK)))
            yield connection


@contextmanager
def refusals(url: URL) -> Iterator[None]:
    """Turn what a database refuses into a StorageError; faults of ours (wrong SQL, broken constraints) go through."""
    try:
        yield
    except exc.DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        name = url.render_as_string(hide_password=True)
        if code is not None and code & 0xFF in _REFUSALS:
            what, hint = _REFUSALS[code & 0xFF]
            raise StorageError(f"The ledger {name} {what}.", hint) from error
        if code is None and (isinstance(error, exc.OperationalError | exc.InterfaceError) or _unreachable(error)):
            raise StorageError(f"The ledger {name} did not answer, or refused.", _SERVER) from error
        raise
    except ConnectionError as error:
        name = url.render_as_string(hide_password=True)
        raise StorageError(f"The ledger {name} cannot be reached.", _SERVER) from error


def _unreachable(error: exc.DBAPIError) -> bool:
    return error.connection_invalidated


def _prepare_sqlite(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not begin by itself: `begin` below does
        connection.execute(f"PRAGMA busy_timeout = {SECONDS_BUSY * 1000}")
        connection.execute("PRAGMA foreign_keys = ON")
        _write_ahead(connection)
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted or replaced is overwritten in its page
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged request survives a power cut

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("tmu_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _write_ahead(connection: Any) -> None:
    """Switch to WAL. Two processes that do so at once are told `locked` without waiting, so wait here."""
    deadline = time.monotonic() + SECONDS_BUSY
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (5, 6) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _create_private(url: URL) -> None:
    """Make the file before SQLite does, readable by its owner alone; its WAL and index take the same mode."""
    if url.database in (None, "", ":memory:") or url.query:
        return
    with storage_errors(url.database), suppress(FileExistsError, FileNotFoundError):
        os.close(os.open(url.database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
