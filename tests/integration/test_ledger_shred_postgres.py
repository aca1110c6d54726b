"""After shredding, the key is nowhere in PostgreSQL's files: heap, indexes, statistics, write-ahead log."""

from collections.abc import Iterator

import pytest

from bench.service.postgres import Postgres
from tests.ledger_tools import FLOW, KEYS, approved, begun, complete, put
from tests.postgres_server import server_of_its_own
from tmu.ledger import proof
from tmu.ledger.shred import shred, to_rewrite
from tmu.ledger.store import Ledger

ANNA = KEYS.subject("anna")


@pytest.fixture
def own() -> Iterator[Postgres]:
    yield from server_of_its_own()


@pytest.fixture
def ledger(own: Postgres) -> Iterator[Ledger]:
    made = Ledger.open(own.new_database())
    yield made
    made.close()


def places_of(server: Postgres, key: str) -> dict[str, int]:
    """How often the key stands in the files of each folder of the server, as text."""
    found: dict[str, int] = {}
    for path in (server.folder / "data").rglob("*"):
        if path.is_file():
            count = path.read_bytes().count(key.encode())
            name = path.relative_to(server.folder / "data").parts[0]
            found[name] = found.get(name, 0) + count
    return {name: count for name, count in found.items() if count}


def filled(ledger: Ledger) -> None:
    """A completed request of Anna's among many, with statistics."""
    for number in range(300):
        put(ledger, f"other-{number}", f"somebody-{number}")
    approved(ledger, "r1", "anna")
    complete(ledger, begun(ledger))
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.exec_driver_sql("CHECKPOINT")


def test_the_key_is_in_no_file_afterwards(own: Postgres, ledger: Ledger) -> None:
    filled(ledger)
    before = places_of(own, ANNA)
    assert set(before) == {"base", "pg_wal"}
    with ledger.write(FLOW) as tx:
        assert shred(tx, "r1") == 1
    with ledger.read() as connection:
        assert to_rewrite(connection) == ["r1"]
    assert set(places_of(own, ANNA)) == {"base", "pg_wal"}
    ledger.rewrite()
    assert places_of(own, ANNA) == {}
    proof.verify(ledger)
    own.kill()
    own.start()
    assert places_of(own, ANNA) == {}
    assert sum(places_of(own, KEYS.subject("somebody-7")).values()) > 0  # the others stay, and the search can see


def test_what_a_role_may_not_do_is_told(own: Postgres, ledger: Ledger) -> None:
    assert ledger.beyond() == []
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        connection.exec_driver_sql("GRANT ALL ON SCHEMA public TO plain")
        for table in ("requests", "request_keys", "forget_entries", "holds", "plans"):
            connection.exec_driver_sql(f"ALTER TABLE {table} OWNER TO plain")
        for table in connection.exec_driver_sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).scalars():
            connection.exec_driver_sql(f"GRANT ALL ON {table} TO plain")
        connection.exec_driver_sql("SELECT pg_create_physical_replication_slot('copy')")
    url = ledger.engine.url.set(username="plain", password="plain")
    other = Ledger.open(url.render_as_string(hide_password=False))
    try:
        assert [what.split(",")[0] for what in other.beyond()] == [
            "the write-ahead log",
            "statistics of the tables",
            "replicas",
        ]
        other.rewrite()  # what it may
        with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("GRANT pg_checkpoint TO plain")  # as `make up` does
            for function in ("pg_switch_wal()", "pg_ls_waldir()"):
                connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {function} TO plain")
            connection.exec_driver_sql("SELECT pg_drop_replication_slot('copy')")
        assert [what.split(",")[0] for what in other.beyond()] == ["statistics of the tables"]
        with other.write(FLOW) as tx:
            tx.log("marked", None, what=ANNA)
        assert "pg_wal" in places_of(own, ANNA)
        other.rewrite()
        assert "pg_wal" not in places_of(own, ANNA)
    finally:
        other.close()
