"""Fixtures with a private PostgreSQL (`bench/service/postgres.py`); `tests/conftest.py` gives them to every test.

`postgres` is the running server, one for the whole run; `database` the address of an empty database, one a test.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from bench.service.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Postgres]":
    """A server with `fsync`; skips where none is installed. A test that stops or kills it starts it again.

    Its files lie in memory where that is large enough: every database has 300 files, for each of which a checkpoint
    waits. A kill of its processes is survived there as on a disk.
    """
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    from bench.service.postgres import Postgres, programs

    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql-15)")
    server = Postgres(_folder())
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def database(postgres: "Postgres") -> str:
    """The SQLAlchemy address of an empty database."""
    return postgres.new_database()


def server_of_its_own() -> "Iterator[Postgres]":
    """A server whose whole folder is searched: for one fixture alone. Skips where none is installed."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    from bench.service.postgres import Postgres, programs

    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql-15)")
    server = Postgres(None)
    try:
        yield server.start()
    finally:
        server.remove()


def _folder() -> str | None:
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30 else None


def dumped(address: str, path: Path) -> None:
    """Write a dump of a database (`pg_dump`), as its operator backs it up. address: SQLAlchemy's."""
    _client("pg_dump", address, "--format=custom", f"--file={path}")


def put_back(address: str, path: Path) -> None:
    """Make a database anew from its dump (`pg_restore`); who is connected to it is cut off."""
    _client("dropdb", address, "--force", "--if-exists", whole=False)
    _client("createdb", address, whole=False)
    _client("pg_restore", address, "--exit-on-error", str(path))


def _client(program: str, address: str, *options: str, whole: bool = True) -> None:
    """Run one of PostgreSQL's own programs on a database. whole: it is named by an option, else by the last word."""
    from bench.service.postgres import programs

    url = make_url(address)
    place = [f"--host={url.host}", f"--port={url.port}", f"--username={url.username}"]
    named = [f"--dbname={url.database}", *options] if whole else [*options, str(url.database)]
    command = [str(programs() / program), *place, *named]
    subprocess.run(command, check=True, env=os.environ | {"PGPASSWORD": str(url.password)})
