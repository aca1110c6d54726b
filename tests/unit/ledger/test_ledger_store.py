"""Opening: migrations, versions, modes; the triggers; what the disk and other processes may refuse."""

import io
import os
import sqlite3
import stat
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from tests.ledger_tools import ALICE, START, put, tampering
from tmu.errors import ConfigError, StorageError
from tmu.ledger import engine as database
from tmu.ledger import proof, upgrade
from tmu.ledger.schema import audit_log, executions, metadata, outbox, requests
from tmu.ledger.store import Ledger


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def _open(file: Path) -> Ledger:
    return Ledger.open(f"sqlite:///{file}")


def test_the_migrations_make_the_tables_that_the_code_uses(ledger: Ledger) -> None:
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": upgrade.VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_the_newest_version_is_the_last_migration(ledger: Ledger) -> None:
    with ledger.read() as connection:
        scripts = ScriptDirectory.from_config(upgrade.alembic_config(connection))
        assert scripts.get_heads() == [upgrade.NEWEST] == [upgrade.version_of(connection)]


def test_opening_again_changes_nothing(file: Path) -> None:
    with _open(file).write(ALICE) as tx:
        tx.log("noted")
    before = file.stat().st_mtime_ns
    assert proof.verify(_open(file)).seq == 1
    assert file.stat().st_mtime_ns == before


def _at_version(file: Path, version: str) -> None:
    """A ledger as an older program left it."""
    from alembic import command

    with database.transaction(database.connect(f"sqlite:///{file}"), writes=True) as connection:
        command.upgrade(upgrade.alembic_config(connection), version)


def test_a_ledger_of_an_older_version_is_brought_up(file: Path) -> None:
    _at_version(file, "0001")
    with pytest.raises(sa.exc.IntegrityError), _open(file).write(ALICE) as tx:
        tx.log("noted")
        tx.flush()
        tx.execute(sa.delete(audit_log))


def test_a_ledger_of_version_2_keeps_its_rows(file: Path) -> None:
    _at_version(file, "0002")
    with sqlite3.connect(file) as raw:
        raw.execute("INSERT INTO batches VALUES ('b', 'faces', 'normal', '2026-03-10', NULL, NULL, 3)")
        raw.execute("INSERT INTO executions VALUES (7, 'b', 1, '2026-03-10 09:30:00.000000', NULL, NULL)")
    with _open(file).read() as connection:
        (row,) = connection.execute(sa.select(executions)).all()
        assert connection.execute(sa.select(outbox)).all() == []
    assert (row.token, row.batch_id, row.started_at, row.run) == (7, "b", START, None)


def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(file: Path) -> None:
    _open(file).close()
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE ledger_version SET version_num = '0999'")
    with pytest.raises(StorageError, match=r"version 0999, which is newer than this program's"):
        _open(file)
    with sqlite3.connect(file) as raw:
        assert raw.execute("SELECT version_num FROM ledger_version").fetchall() == [("0999",)]


def test_an_upgrade_that_fails_leaves_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    real = command.upgrade

    def stopped(*arguments: object) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upgrade", stopped)
    with pytest.raises(KeyboardInterrupt):
        _open(file)
    with sqlite3.connect(file) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_the_file_is_private_durable_and_keeps_its_references(file: Path) -> None:
    ledger = _open(file)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    with ledger.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"), ledger.write(ALICE) as tx:
        tx.execute(sa.text("INSERT INTO receipts VALUES ('e', 'r', '2026-01-01', NULL)"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET event = 'x'",
        "UPDATE audit_log SET seq = 9 WHERE seq = 1",
        "DELETE FROM audit_log WHERE seq = 2",
        "DELETE FROM audit_log",
        "REPLACE INTO audit_log VALUES (1, NULL, 'x', 'x', 'x')",
        "INSERT INTO audit_log VALUES (9, NULL, 'x', 'x', 'x')",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(ledger: Ledger, statement: str) -> None:
    put(ledger, "r1")
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), ledger.write(ALICE) as tx:
        tx.execute(sa.text(statement))
    assert proof.verify(ledger).seq == 2


def test_postgresql_gets_the_same_tables_and_its_own_triggers() -> None:
    made = io.StringIO()
    options = {"as_sql": True, "output_buffer": made, "literal_binds": True}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context):
        folder = Path(upgrade.__file__).parent / "migrations" / "versions"
        for script in sorted(folder.glob("0*.py")):
            _load(script).upgrade()
    text = made.getvalue()
    assert all(f"CREATE TABLE {name} " in text for name in metadata.tables)
    assert "TIMESTAMP WITH TIME ZONE" in text
    assert "ON batches (dataset) WHERE closed_at IS NULL" in text
    for verb in ("UPDATE", "DELETE", "TRUNCATE", "INSERT"):
        assert f"BEFORE {verb} ON audit_log" in text


def _load(script: Path) -> object:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(script.stem, script)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_times_come_back_as_utc_and_naive_ones_are_a_fault(ledger: Ledger) -> None:
    put(ledger, "r1")
    with ledger.read() as connection:
        assert connection.scalar(sa.select(requests.c.received_at)) == START
    with pytest.raises(sa.exc.StatementError, match="without a time zone"), ledger.write(ALICE) as tx:
        tx.execute(sa.update(requests).values(received_at=datetime(2026, 1, 1)))


def test_an_unknown_state_cannot_be_stored(ledger: Ledger) -> None:
    put(ledger, "r1")
    with pytest.raises(sa.exc.IntegrityError, match="CHECK"), ledger.write(ALICE) as tx:
        tx.execute(sa.update(requests).values(state="approvd"))


def test_a_full_disk_says_so_and_nothing_was_changed(file: Path) -> None:
    ledger = _open(file)
    put(ledger, "before")
    with ledger.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")  # of this connection, which the pool keeps
    with pytest.raises(StorageError, match="disk is full"):
        put(ledger, "big", *(f"person {number}" for number in range(500)))
    assert proof.verify(_open(file)).seq == 2


def test_a_ledger_that_another_process_holds_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SECONDS_BUSY", 0)
    ledger = _open(file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked by another process"):
        put(ledger, "r1")
    other.execute("ROLLBACK")
    assert put(ledger, "r1").new


def test_damage_and_foreign_files_say_so(file: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("dear diary, " * 1000)
    with pytest.raises(StorageError, match="damaged, or is no ledger"):
        _open(tmp_path / "notes.db")
    ledger = _open(file)
    put(ledger, "r1")
    ledger.close()
    with open(file, "r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * (file.stat().st_size - 4096))
    with pytest.raises(StorageError, match="is damaged"):
        proof.verify(_open(file))


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        _open(tmp_path / "nowhere" / "ledger.db")


@pytest.mark.parametrize("url", ["nonsense", "mysql://a/b", "oracle+none://x", ""])
def test_an_address_of_no_use_is_a_setting_to_fix(url: str) -> None:
    with pytest.raises(ConfigError):
        Ledger.open(url)


def test_a_password_in_the_address_is_not_shown() -> None:
    from sqlalchemy.engine import make_url

    error = sa.exc.OperationalError("x", {}, Exception("no"))
    with pytest.raises(StorageError) as caught, database.refusals(make_url("postgresql://me:secret@db/ledger")):
        raise error
    assert "secret" not in str(caught.value)
    assert "me:***@db" in str(caught.value)


def test_an_exception_undoes_all_of_a_transaction(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.write(ALICE) as tx:
        tx.log("noted")
        tx.flush()
        raise ZeroDivisionError
    assert proof.verify(ledger).seq == 0


def test_tampering_in_tests_gets_past_the_triggers(ledger: Ledger) -> None:
    """The other tests' intruder: were it stopped by the triggers, they would show nothing."""
    put(ledger, "r1")
    with tampering(ledger) as raw:
        raw.execute("DELETE FROM audit_log")
    with ledger.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit_log)) == 0
