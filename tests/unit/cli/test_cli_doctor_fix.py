"""`tmu doctor --fix`, and the checks that other packages add."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli_tools import tmu
from tmu.check import Check
from tmu.cli import doctor, installation
from tmu.errors import StorageError


class Broken:
    """A thing that is broken until it is fixed."""

    def __init__(self, *, for_good: bool = False):
        self.well, self.for_good = False, for_good

    def checks(self, place: Any) -> list[Check]:
        assert place.root.is_dir()
        return [Check("thing", "ok", "well") if self.well else Check("thing", "fail", "broken", "Fix it.", self.hint)]

    def hint(self) -> str:
        if self.for_good:
            raise StorageError("It cannot be fixed.", "Buy a new one.")
        self.well = True
        return "glued"


def _with(monkeypatch: pytest.MonkeyPatch, thing: Broken) -> Broken:
    entry = SimpleNamespace(load=lambda: thing.checks)
    monkeypatch.setattr(doctor, "entry_points", lambda group: [entry] if group == "tmu.checks" else [])
    return thing


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(installation, "_IMPORTED", ())
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    return tmp_path


def _found(result: Any) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(result.stdout)}


def test_a_look_mends_nothing_and_says_what_could_be(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = _with(monkeypatch, Broken())
    result = tmu(home, "doctor", "--json")
    assert result.exit_code == 1
    found = _found(result)
    assert found["thing"] == {
        "name": "thing",
        "state": "fail",
        "text": "broken",
        "hint": "Fix it.",
        "fixable": True,
    }
    assert found["data"]["fixable"] is False
    assert not thing.well


def test_fix_repairs_and_looks_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = _with(monkeypatch, Broken())
    result = tmu(home, "doctor", "--fix", "--yes", "--json")
    assert result.exit_code == 0
    found = _found(result)
    assert (found["fixed: thing"]["state"], found["fixed: thing"]["text"]) == ("ok", "glued")
    assert found["thing"]["state"] == "ok"
    assert thing.well


def test_what_cannot_be_fixed_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, Broken(for_good=True))
    result = tmu(home, "doctor", "--fix", "--yes", "--json")
    assert result.exit_code == 1
    assert _found(result)["fixed: thing"]["hint"] == "Buy a new one."


def test_nothing_is_fixed_where_nobody_can_be_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = _with(monkeypatch, Broken())
    result = tmu(home, "doctor", "--fix")
    assert result.exit_code == 2
    assert "--yes" in result.output
    assert not thing.well


@pytest.mark.parametrize("answer", [True, False])
def test_in_a_terminal_it_asks(home: Path, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    thing = _with(monkeypatch, Broken())
    asked = []
    monkeypatch.setattr(doctor.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(doctor.typer, "confirm", lambda question, err: asked.append(question) or answer)
    done = list(doctor._fixed(thing.checks(SimpleNamespace(root=home)), yes=False))
    assert asked == ["thing: broken. Fix it?"]
    assert (thing.well, len(done)) == (answer, int(answer))


def test_a_server_of_mlflow_that_is_away_is_said_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, Broken())
    monkeypatch.setenv("TMU_MLFLOW_URI", "http://127.0.0.1:9")
    assert _found(tmu(home, "doctor", "--json"))["MLflow"]["text"] == "does not answer"
