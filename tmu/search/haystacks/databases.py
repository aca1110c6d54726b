"""Databases on a server (ledger, MLflow, Prefect), through SQL and, where they can be read, through their raw files."""

import os
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import make_url

from tmu.search import databases, server_files
from tmu.search.ground import Found, Ground, Table
from tmu.search.haystacks.walk import files_below
from tmu.search.look import Thing
from tmu.search.passing import may_pass
from tmu.search.report import Access, NotLookedAt


class Databases:
    """See the module."""

    name = "databases"

    def found(self, ground: Ground) -> Iterator[Found]:
        """Tables of each server, then raw files; SQLite files outside the workspace."""
        servers = []
        for name, url in _addresses(ground):
            if url.get_backend_name() == "sqlite":
                yield from _sqlite(ground, name, url.database)
                continue
            servers += [url] if url.get_backend_name() == "postgresql" else []
            if ground.tables:
                yield from _tables(name, url)
        if ground.tables:
            yield from _raw_files(ground, servers)
        yield from _prefect_home(ground)

    def accesses(self, ground: Ground) -> Iterator[Access]:
        """Whether the role may insert into any table."""
        for name, url in _addresses(ground):
            if url.get_backend_name() == "postgresql":
                can = _can_insert(url)
                yield Access(store=f"{name} database", can_write=can, how="the role's privileges on its tables")


def _addresses(ground: Ground) -> list[tuple[str, sa.URL]]:
    """(name, address); drivers of servers that wait in threads, whatever the service itself uses."""
    settings = ground.workspace.settings
    secrets = {"MLflow": settings.mlflow_database, "Prefect": settings.prefect_database}
    found = {"ledger": settings.search_ledger or settings.ledger}
    found |= {name: value.get_secret_value() if value else None for name, value in secrets.items()}
    if settings.mlflow_uri and settings.mlflow_uri.startswith(("sqlite:", "postgresql")):
        found["MLflow"] = settings.mlflow_uri
    urls = [(name, make_url(str(value))) for name, value in found.items() if value]
    return [(name, _synchronous(url)) for name, url in urls]


def _synchronous(url: sa.URL) -> sa.URL:
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url


def _sqlite(ground: Ground, name: str, database: str | None) -> Iterator[Found]:
    if not database or database == ":memory:":
        return
    path = (ground.root / database).resolve()
    if path.is_relative_to(ground.root):
        return  # a file of the workspace
    for each in (path, *(Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal"))):
        if each.is_file():
            yield Thing(name, str(each), each, named=each.name)


def _tables(name: str, url: sa.URL) -> Iterator[Found]:
    shown = url.render_as_string(hide_password=True)
    engine = sa.create_engine(url, connect_args={"connect_timeout": 10})
    try:
        for table, parts in databases.tables_of(engine):
            yield Table(name, f"{url.database}/{table}", parts)
    except (exc.SQLAlchemyError, OSError) as error:
        why = f"the database refuses ({type(error).__name__})"
        yield NotLookedAt(haystack=name, address=shown, why=why, may_pass=may_pass(error))
    finally:
        engine.dispose()


def _raw_files(ground: Ground, urls: list[sa.URL]) -> Iterator[Found]:
    """PostgreSQL's own files hold dead rows and the write-ahead log, which no table shows."""
    folder, servers = ground.workspace.settings.postgres_data, dict[str, list[sa.URL]]()
    for url in urls:
        servers.setdefault(server_files.server_of(url), []).append(url)
    readable = folder is not None and os.access(folder, os.R_OK | os.X_OK)
    for server, mine in servers.items():
        try:
            why = server_files.why_not_read(folder, mine) if folder is not None and readable else ""
        except exc.DBAPIError as error:
            why = f"the server does not say whether they are its own ({type(error).__name__})"
            yield NotLookedAt(haystack=server_files.NAME, address=server, why=why, may_pass=True)
            continue
        if why or not readable:
            told = server_files.told_of(mine)
            yield NotLookedAt(haystack=server_files.NAME, address=server, why=f"{why}; {told}" if why else told)
        elif folder is not None:
            yield from files_below(folder, lambda _: server_files.NAME, f"{folder}/")


def _prefect_home(ground: Ground) -> Iterator[Found]:
    """Prefect's own SQLite database and results, where there is no server."""
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    if home.is_dir() and not home.resolve().is_relative_to(ground.root):
        yield from files_below(home, lambda _: "Prefect", f"{home}/", ground.is_own)


def _can_insert(url: sa.URL) -> bool | None:
    sql = (
        "SELECT bool_or(has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE')) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%%' "
        "AND n.nspname <> 'information_schema'"
    )
    engine = sa.create_engine(url, connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            return bool(connection.exec_driver_sql(sql).scalar())
    except (exc.SQLAlchemyError, OSError):
        return None
    finally:
        engine.dispose()
