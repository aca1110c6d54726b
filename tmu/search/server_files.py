"""The files of a PostgreSQL server: whether a folder is theirs, and what the server tells where none can be read.

Dead rows and the write-ahead log are in no table. Where the files are out of reach, what lingers there is not known.
"""

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from tmu.search.passing import may_pass

NAME = "PostgreSQL files"
_DATABASE = (
    "SELECT oid, (SELECT system_identifier FROM pg_control_system()) FROM pg_database "
    "WHERE datname = current_database()"
)
_REWRITTEN = (
    "SELECT max(rewritten_at), count(*) FILTER (WHERE shredded_at IS NOT NULL AND rewritten_at IS NULL) FROM requests"
)
_OLDEST = "SELECT min(modification) FROM pg_ls_waldir()"
HINT = (
    "Name the folder in setting `postgres_data` for an account that may read it, or state in setting "
    "`postgres_statement` why nothing lingers there."
)


def server_of(url: sa.URL) -> str:
    """How the report calls the files of a database's server; other databases of it share them."""
    return f"{NAME}/{url.host or 'this machine'}:{url.port or 5432}"


def why_not_read(folder: Path, urls: Iterable[sa.URL]) -> str:
    """Why a folder's files do not stand for those of the databases' server; empty where they do.

    By the server's own number, too: the first database of each server has the same oid. Raises DBAPIError where the
    server does not answer, and may later.
    """
    for url in urls:
        try:
            found = _first(url, _DATABASE)
        except (exc.SQLAlchemyError, OSError) as error:
            if isinstance(error, exc.DBAPIError) and may_pass(error):
                raise
            found = None
        if found is None or found[1] != _number_in(folder) or not (folder / "base" / str(found[0])).is_dir():
            return "the folder in setting `postgres_data` is not that of this server"
    return ""


def _number_in(folder: Path) -> int | None:
    """The system identifier of the server whose files these are; None where it cannot be read."""
    with suppress(OSError):
        return int.from_bytes((folder / "global" / "pg_control").read_bytes()[:8], sys.byteorder, signed=True)
    return None


def told_of(urls: Iterable[sa.URL]) -> str:
    """What the server says of its files through SQL, in a sentence that a certificate may repeat."""
    rewritten, oldest = "no ledger there says when its tables were rewritten", None
    for url in urls:
        found = _asked(url, _REWRITTEN)
        if found is not None and found[0] is not None:
            rewritten = f"the ledger's tables were rewritten (VACUUM FULL) last on {found[0]:%Y-%m-%d %H:%M} UTC"
        if found is not None and found[1]:
            rewritten += ", and keys were destroyed since"
        oldest = oldest or _asked(url, _OLDEST)
    log = f"is of {oldest[0]:%Y-%m-%d %H:%M}" if oldest and oldest[0] else "is not told to this role"
    return (
        "they are out of reach; dead rows and the write-ahead log may hold what no table shows: "
        f"{rewritten}; the oldest segment of the write-ahead log {log}"
    )


def _asked(url: sa.URL, query: str) -> sa.Row | None:
    """The answer's first row; None where the server refuses."""
    with suppress(exc.SQLAlchemyError, OSError):
        return _first(url, query)
    return None


def _first(url: sa.URL, query: str) -> sa.Row | None:
    """The answer's first row, in a transaction that only reads."""
    engine = sa.create_engine(url, connect_args={"connect_timeout": 10, "options": "-c timezone=UTC"})
    try:
        with engine.connect() as connection:
            return connection.execution_options(postgresql_readonly=True).exec_driver_sql(query).first()
    finally:
        engine.dispose()
