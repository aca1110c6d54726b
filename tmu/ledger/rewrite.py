"""Rewrite the database's files, so that what was replaced in the tables is not left in their old bytes.

SQLite: VACUUM, and the write-ahead log written back and emptied. PostgreSQL: VACUUM FULL of the tables with keys (and
their indexes), fresh statistics, and all segments of the write-ahead log overwritten. What the role may not do, and
what is beyond the server (archives, replicas), is told by `beyond`.
"""

from collections.abc import Callable

import sqlalchemy as sa

from tmu.errors import StorageError
from tmu.ledger import engine as database
from tmu.ledger.schema import forget_entries, holds, plans, request_keys, requests

TABLES = (request_keys, forget_entries, holds, plans, requests)
_MOST_SEGMENTS = 1024
_SEGMENT = "'^[0-9A-F]{24}$'"
_ARCHIVED = "SELECT current_setting('archive_mode') <> 'off'"
_REPLICATED = "SELECT EXISTS (SELECT 1 FROM pg_replication_slots)"
_MAY = (
    "SELECT rolsuper OR (pg_has_role(current_user, 'pg_checkpoint', 'USAGE') "
    "AND has_function_privilege('pg_switch_wal()', 'EXECUTE') AND has_function_privilege('pg_ls_waldir()', 'EXECUTE')) "
    "FROM pg_roles WHERE rolname = current_user"
)
_OWNS_STATISTICS = (
    "SELECT rolsuper OR (SELECT datdba = pg_roles.oid FROM pg_database WHERE datname = current_database()) "
    "FROM pg_roles WHERE rolname = current_user"
)


def rewrite(engine: sa.Engine) -> None:
    """Rewrite what this role may. Others who read or write wait meanwhile.

    Raises StorageError where another process holds the database for longer than SECONDS_BUSY.
    """
    with database.refusals(engine.url):
        if engine.dialect.name == "postgresql":
            _rewrite_postgresql(engine)
        else:
            _rewrite_sqlite(engine)


def beyond(engine: sa.Engine) -> list[str]:
    """What of this database `rewrite` cannot reach, in clauses; empty where there is nothing known."""
    if engine.dialect.name != "postgresql":
        return []
    checks = {
        "the write-ahead log, which the ledger's role may not recycle": f"SELECT NOT ({_MAY})",
        "statistics of the tables, which the ledger's role may not rewrite": f"SELECT NOT ({_OWNS_STATISTICS})",
        "the archive of the write-ahead log": _ARCHIVED,
        "replicas": _REPLICATED,
    }
    with database.refusals(engine.url), engine.connect() as connection:
        return [what for what, query in checks.items() if connection.exec_driver_sql(query).scalar()]


def _rewrite_sqlite(engine: sa.Engine) -> None:
    connection = engine.raw_connection()
    try:
        connection.execute("VACUUM")  # type: ignore[attr-defined]
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]  # type: ignore[attr-defined]
    finally:
        connection.close()
    if busy:
        raise StorageError("The ledger is being read by another process.", "Run the same command again.")


def _rewrite_postgresql(engine: sa.Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        run = connection.exec_driver_sql
        run(f"SET lock_timeout = '{database.SECONDS_BUSY}s'")
        for table in TABLES:
            run(f"VACUUM FULL {table.name}")
            run(f"ANALYZE {table.name}")  # the old statistics hold samples of keys
        if run(_OWNS_STATISTICS).scalar():
            run("VACUUM FULL pg_statistic")
        if run(_MAY).scalar():
            for _ in range(2):  # the second round overwrites what the first one was written into
                run("CHECKPOINT")
                _overwrite_segments(lambda query: run(query).scalar())
            run("CHECKPOINT")


def _overwrite_segments(ask: Callable[[str], object]) -> None:
    """Fill every segment of the write-ahead log that is there: one that is switched away from is padded with zeros."""
    last = str(ask(f"SELECT max(name) FROM pg_ls_waldir() WHERE name ~ {_SEGMENT}"))
    for _ in range(_MOST_SEGMENTS):
        ask("SELECT pg_logical_emit_message(false, 'tmu', 'x')")
        ask("SELECT pg_switch_wal()")
        if str(ask("SELECT pg_walfile_name(pg_current_wal_lsn())")) > last:
            return
    raise StorageError("The write-ahead log is too long to be overwritten.", "Run CHECKPOINT, and the same again.")
