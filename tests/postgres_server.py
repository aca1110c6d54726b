"""Fixtures with a private PostgreSQL (`bench/service/postgres.py`); `tests/conftest.py` gives them to every test.

`postgres` is the running server, one for the whole run; `database` the address of an empty database, one a test.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
