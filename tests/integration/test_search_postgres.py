"""The search in a ledger on PostgreSQL: rows of whatever type, dead rows in the files, and the rights of the role."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tmu.certificate.certificate import Certificate
from tmu.certificate.checked import accepted_unread, validation_of
from tmu.errors import GateError
from tmu.search.ground import Ground
from tmu.search.haystacks.databases import Databases
from tmu.search.needles import of_keys
from tmu.search.report import Outcome, SearchReport
from tmu.search.run import Task
from tmu.search.search import search
from tmu.settings import Settings
from tmu.workspace import Workspace

if TYPE_CHECKING:
    from bench.service.postgres import Postgres

pytestmark = pytest.mark.slow
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def workspace(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr("tmu.search.haystacks.temporary.temporary_folders", lambda _: [])
    monkeypatch.setattr("tmu.search.haystacks.folders.SITE_CACHE", tmp_path / "none")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "none"))
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "params.yaml").write_text("{}")
    return Workspace(tmp_path / "w", Settings(ledger=database))


def found(workspace: Workspace) -> SearchReport:
    return search(workspace, Task(of_keys([], [KEY], 1)))[0]


def run(database: str, *statements: str) -> None:
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for each in statements:
            connection.exec_driver_sql(each)
    engine.dispose()


def test_every_type_of_column_is_read(workspace: Workspace, database: str) -> None:
    run(
        database,
        "CREATE TABLE a (id int, t text, b bytea, j jsonb)",
        f"INSERT INTO a VALUES (1, repeat('x', 100000) || '{KEY}', NULL, NULL)",
        f"INSERT INTO a VALUES (2, NULL, decode('{KEY}', 'hex'), NULL)",
        f"INSERT INTO a VALUES (3, NULL, NULL, '{json.dumps({'who': [KEY]})}')",
        "CREATE SCHEMA other",
        f"CREATE TABLE other.b AS SELECT '{KEY}'::text AS c",
    )
    insides = {(hit.address.partition("/")[2], hit.inside.partition("column ")[2]) for hit in found(workspace).left}
    assert insides == {("public.a", "t"), ("public.a", "b"), ("public.a", "j"), ("other.b", "c")}


def test_dead_rows_are_found_in_the_files_where_they_can_be_read(
    workspace: Workspace, database: str, postgres: "Postgres"
) -> None:
    run(database, "CREATE TABLE a (t text)", f"INSERT INTO a VALUES ('{KEY}')", "DELETE FROM a", "CHECKPOINT")
    near = Workspace(workspace.root, Settings(ledger=database, postgres_data=postgres.folder / "data"))
    report = found(near)
    hits = {hit.address for hit in report.left}
    assert any("/base/" in each for each in hits) and any("/pg_wal/" in each for each in hits)
    assert report.not_looked_at == ()


def test_files_out_of_reach_leave_it_unknown_and_the_server_tells_what_may_linger(
    workspace: Workspace, database: str
) -> None:
    report = found(workspace)
    (unread,) = report.not_looked_at
    assert (report.outcome, unread.haystack, unread.rule) == (Outcome.UNKNOWN, "PostgreSQL files", "")
    assert "no ledger there says" in unread.why and "the oldest segment of the write-ahead log is of 20" in unread.why
    run(
        database,
        "CREATE TABLE requests (rewritten_at timestamptz, shredded_at timestamptz)",
        "INSERT INTO requests VALUES ('2026-03-04 05:06:07+00', '2026-03-04 05:00:00+00')",
    )
    assert "(VACUUM FULL) last on 2026-03-04 05:06 UTC;" in found(workspace).not_looked_at[0].why
    run(database, "INSERT INTO requests VALUES (NULL, '2026-03-05 00:00:00+00')")
    assert "UTC, and keys were destroyed since;" in found(workspace).not_looked_at[0].why


def test_a_folder_of_another_server_is_not_taken_for_its_files(
    workspace: Workspace, database: str, tmp_path: Path
) -> None:
    (tmp_path / "other" / "base" / "1").mkdir(parents=True)
    wrong = Workspace(workspace.root, Settings(ledger=database, postgres_data=tmp_path / "other"))
    report = found(wrong)
    assert report.outcome is Outcome.UNKNOWN
    assert "is not that of this server" in report.not_looked_at[0].why
    assert "PostgreSQL files" not in {each.name for each in report.haystacks}
    control = tmp_path / "other" / "global" / "pg_control"
    control.parent.mkdir()
    control.write_bytes(b"another server's number")
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        oid = connection.exec_driver_sql("SELECT oid FROM pg_database WHERE datname = current_database()").scalar()
    engine.dispose()
    (tmp_path / "other" / "base" / str(oid)).mkdir()  # as the first database of each server has
    assert found(wrong).outcome is Outcome.UNKNOWN


def test_the_operators_statement_is_accepted_for_these_files_alone_and_certificates_repeat_it(
    workspace: Workspace, database: str, tmp_path: Path
) -> None:
    said = "Dead rows are vacuumed hourly; the log is recycled within a day."
    settings = Settings(ledger=database, postgres_statement=said)
    report = found(Workspace(workspace.root, settings))
    assert (report.outcome, report.not_looked_at[0].rule) == (Outcome.PASS, f"the operator states: {said}")
    (named,) = accepted_unread(report)
    assert named.restore.endswith(said) and "out of reach" in named.what and "127.0.0.1" not in named.what
    gone = settings.model_copy(update={"ledger": f"{database}_that_is_not_there"})
    assert found(Workspace(workspace.root, gone)).outcome is Outcome.UNKNOWN  # the tables cannot be read
    run(database, f"CREATE TABLE a AS SELECT '{KEY}'::text AS t")
    assert found(Workspace(workspace.root, settings)).outcome is Outcome.FAILED
    assert accepted_unread(found(workspace)) == () and accepted_unread(None) == ()


def test_without_either_there_is_no_certificate_and_it_says_how_to_get_one(workspace: Workspace) -> None:
    check = validation_of(found(workspace))
    assert check.result == "UNKNOWN"
    passed = check.model_copy(update={"result": "PASS"})
    made = Certificate.model_construct(request="r", verification=passed, validation=check)
    with pytest.raises(GateError, match="out of reach") as caught:
        made.refuse_without_pass()
    assert "`postgres_data`" in caught.value.hint and "`postgres_statement`" in caught.value.hint
    other = Certificate.model_construct(
        request="r", verification=check.model_copy(update={"found": ()}), validation=check
    )
    with pytest.raises(GateError) as caught:
        other.refuse_without_pass()
    assert "postgres" not in caught.value.hint


def test_whether_the_role_may_write_is_asked(workspace: Workspace, database: str, tmp_path: Path) -> None:
    run(
        database,
        "CREATE TABLE a (t text)",
        "DROP ROLE IF EXISTS auditor",
        "CREATE ROLE auditor LOGIN PASSWORD 'auditor'",
        "GRANT pg_read_all_data TO auditor",
    )
    reader = (
        sa.engine.make_url(database).set(username="auditor", password="auditor").render_as_string(hide_password=False)
    )
    (own,) = Databases().accesses(Ground(workspace, tmp_path))
    read_only = Workspace(workspace.root, Settings(ledger=database, search_ledger=reader))
    (theirs,) = Databases().accesses(Ground(read_only, tmp_path))
    assert (own.can_write, theirs.can_write) == (True, False)
    assert found(read_only).haystacks
