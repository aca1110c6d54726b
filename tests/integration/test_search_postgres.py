"""The search in a ledger on PostgreSQL: rows of whatever type, dead rows in the files, and the rights of the role."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tmu.search.ground import Ground
from tmu.search.haystacks.databases import Databases
from tmu.search.needles import of_keys
from tmu.search.report import Outcome, SearchReport
from tmu.search.search import Task, search
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


def test_files_that_cannot_be_read_leave_it_unknown_and_dead_rows_in_them_are_found(
    workspace: Workspace, database: str, postgres: "Postgres"
) -> None:
    run(database, "CREATE TABLE a (t text)", f"INSERT INTO a VALUES ('{KEY}')", "DELETE FROM a", "CHECKPOINT")
    report = found(workspace)
    assert (report.outcome, [each.haystack for each in report.not_looked_at]) == (Outcome.UNKNOWN, ["PostgreSQL files"])
    near = Workspace(workspace.root, Settings(ledger=database, postgres_data=postgres.folder / "data"))
    hits = {hit.address for hit in found(near).left}
    assert any("/base/" in each for each in hits)
    assert any("/pg_wal/" in each for each in hits)


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
