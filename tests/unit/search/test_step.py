"""The step that a flow calls, the command, and the walls around the search."""

import ast
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.erasure.planted import PERSON
from tests.unit.search.conftest import KEYS, RECORDS
from tmu.cli import app
from tmu.files import write_json
from tmu.search.declared import Declared
from tmu.search.inventory import Inventory
from tmu.search.report import Outcome, SearchReport
from tmu.search.search import search
from tmu.steps.verify_erasure import Erased, drop_inventory, report_of, take_inventory, verify_erasure
from tmu.workspace import Workspace

SEARCH = Path(__file__).parents[3] / "tmu" / "search"
KEY = KEYS.subject(PERSON)
ERASED = Erased(request="r1", records=tuple(map(KEYS.record, RECORDS)), subjects=(KEY,))


def test_the_step_takes_an_inventory_which_lies_there_as_long_as_the_keys(workspace: Workspace) -> None:
    (workspace.root / "x").write_text(KEY)
    assert not take_inventory(workspace, ERASED).unanswered
    inventory = workspace.state("searches", "r1.inventory.json")
    assert inventory.stat().st_mode & 0o777 == 0o600
    assert verify_erasure(workspace, ERASED).outcome is Outcome.FAILED
    assert len(report_of(workspace, "r1").left) == 1
    assert inventory.exists()
    (workspace.root / "x").unlink()
    report = verify_erasure(workspace, ERASED)
    assert report.outcome is Outcome.PASS
    assert inventory.exists(), "by it a crash before the keys are destroyed is seen"
    assert report_of(workspace, "r1") == report
    assert KEY not in workspace.state("searches", "r1.json").read_text()
    drop_inventory(workspace, "r1")
    assert verify_erasure(workspace, ERASED).hits == ()


def test_a_place_that_could_not_be_searched_proves_nothing(workspace: Workspace) -> None:
    (workspace.root / "x.gz").write_bytes(b"\x1f\x8b\x08 cut")
    assert verify_erasure(workspace, ERASED).outcome is Outcome.UNKNOWN
    rules = (Declared(what="x.gz", why="it is a leftover of a test"),)
    assert verify_erasure(workspace, ERASED.model_copy(update={"rules": rules})).outcome is Outcome.PASS


def test_a_search_that_could_not_look_gives_way_to_one_that_passed_while_it_looked(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = verify_erasure(workspace, ERASED)
    (workspace.root / "x.gz").write_bytes(b"\x1f\x8b\x08 cut")
    assert verify_erasure(workspace, ERASED).outcome is Outcome.UNKNOWN  # a later one stands

    def meanwhile(*given: object) -> tuple[SearchReport, Inventory]:
        found = search(*given)
        later = passed.model_copy(update={"finished": "2999-01-01T00:00:00+00:00"})
        write_json(workspace.state("searches", "r1.json"), later.as_json())
        return found

    monkeypatch.setattr("tmu.steps.verify_erasure.search", meanwhile)
    assert verify_erasure(workspace, ERASED).outcome is Outcome.PASS
    assert report_of(workspace, "r1").outcome is Outcome.PASS
    (workspace.root / "x").write_text(KEY)
    assert verify_erasure(workspace, ERASED).outcome is Outcome.FAILED  # what was found is never put aside
    assert report_of(workspace, "r1").outcome is Outcome.FAILED


def test_what_stays_by_rule_is_declared_and_nothing_else(workspace: Workspace) -> None:
    (workspace.root / ".tmu" / "purges").mkdir()
    for name in (".tmu/purges/r1.json", "kept", "gone"):
        (workspace.root / name).write_text(KEY)
    rules = (
        Declared(what=".tmu/purges/r1.json", why="it is running"),
        Declared(what="kept", why="a hold", until="2030-01-01"),
    )
    report = verify_erasure(workspace, ERASED.model_copy(update={"rules": rules}))
    assert [hit.address for hit in report.left] == ["gone"]
    assert {hit.address: hit.until for hit in report.declared} == {".tmu/purges/r1.json": "", "kept": "2030-01-01"}


def call(workspace: Workspace, *arguments: str) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["--home", str(workspace.root), "--json", "verify-erasure", *arguments])
    return result.exit_code, json.loads(result.stdout)


def test_the_command_before_and_after(workspace: Workspace, photos: Path, tmp_path: Path) -> None:
    (workspace.root / "x").write_text(KEY)
    inventory = str(tmp_path / "inventory.json")
    code, told = call(workspace, "--subject", PERSON, "--pictures", str(photos), "--before", inventory)
    assert (code, told["outcome"], told["hits_by_haystack"]["workspace"]) == (0, "FAILED", 1)
    assert call(workspace, "--after", inventory)[0] == 6
    (workspace.root / "x").rename(workspace.root / "x.7z")
    (workspace.root / "x.7z").write_bytes(b"7z\xbc\xaf")
    assert call(workspace, "--after", inventory)[0] == 7
    (workspace.root / "x.7z").unlink()
    out = tmp_path / "report.json"
    code, told = call(workspace, "--after", inventory, "--out", str(out))
    assert (code, told["outcome"], json.loads(out.read_text())) == (0, "PASS", told)
    assert told["needles"]["pictures"] == 10


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "Nothing is searched for"),
        (["--before", "a", "--after", "b"], "two searches"),
        (["--after", "absent"], "no inventory"),
        (["--subject", "x", "--pictures", "absent"], "no folder"),
        (["--subject", "x", "--declared", "absent"], "holds no rules"),
    ],
)
def test_what_makes_no_sense_is_refused(workspace: Workspace, arguments: list[str], what: str) -> None:
    code, told = call(workspace, *arguments)
    assert code in (2, 3)
    assert what in told["error"]["what"]


def test_the_result_for_people_names_stores_models_and_what_was_not_looked_at(workspace: Workspace) -> None:
    (workspace.root / "x").write_text(KEY)
    (workspace.root / "y.gz").write_bytes(b"\x1f\x8b\x08 cut")
    command = ["--home", str(workspace.root), "verify-erasure", "--subject", PERSON]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 6
    for part in ("FAILED", "workspace", "Not looked at: y.gz", "key (1)"):
        assert part in result.stdout


FORBIDDEN = (
    "tmu.purge", "tmu.lineage", "tmu.deletion", "tmu.steps", "tmu.ledger", "tmu.cli", "tmu.data.shards",
    "tmu.data.store", "tmu.data.index", "tmu.data.erase", "tmu.stores.dvc", "tmu.stores.artifacts", "tmu.stores.mlflow",
    "tmu.stores.s3_versions",
)  # fmt: skip


def foreign(source: str) -> list[str]:
    """Imports of what the search must not share."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names += [node.module or "", *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names += [each.name for each in node.names]
    return [name for name in names if any(name == each or name.startswith(f"{each}.") for each in FORBIDDEN)]


def test_the_search_shares_no_code_with_what_it_checks() -> None:
    files = sorted(SEARCH.rglob("*.py"))
    assert len(files) > 15
    assert {path.name: found for path in files if (found := foreign(path.read_text()))} == {}
    assert foreign("from tmu.purge.scope import Scope\nimport tmu.lineage\nfrom tmu.stores import dvc")
