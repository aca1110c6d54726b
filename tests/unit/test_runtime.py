"""Which Prefect server a flow talks to: the variable, else the setting, else a temporary one."""

import os
from pathlib import Path
from unittest import mock

import pytest

from flows import runtime, temporary_server
from tmu.settings import STACK

SET = "http://127.0.0.1:4999/api"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".tmu").mkdir()
    (tmp_path / STACK).write_text(f'prefect_api_url = "{SET}"\n')
    monkeypatch.setattr(temporary_server, "tie", lambda: pytest.fail("a temporary server was prepared"))
    return tmp_path


def _prepared(home: str, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "TMU_"))}
    with mock.patch.dict(os.environ, {**kept, **variables}, clear=True):
        runtime.prepare(home)
        return dict(os.environ)


def test_the_setting_names_the_server(home: Path):
    prepared = _prepared(str(home))
    assert prepared["PREFECT_API_URL"] == SET
    assert prepared["PREFECT_LOCAL_STORAGE_PATH"] == str(home / ".tmu" / "prefect" / "results")


def test_no_home_means_the_workspace_of_the_variable(home: Path):
    assert _prepared("", TMU_HOME=str(home))["PREFECT_API_URL"] == SET


def test_the_variable_wins(home: Path):
    assert _prepared(str(home), PREFECT_API_URL="http://other/api")["PREFECT_API_URL"] == "http://other/api"


LOGIN = "tmu:a-password-of-some-length"


def test_the_settings_login_is_for_the_settings_server_alone(home: Path):
    (home / STACK).write_text(f'prefect_api_url = "{SET}"\nprefect_login = "{LOGIN}"\n')
    assert _prepared(str(home))["PREFECT_API_AUTH_STRING"] == LOGIN
    assert _prepared(str(home), PREFECT_API_URL=SET)["PREFECT_API_AUTH_STRING"] == LOGIN
    assert "PREFECT_API_AUTH_STRING" not in _prepared(str(home), PREFECT_API_URL="http://other/api")
    mine = {"PREFECT_API_URL": "http://other/api", "PREFECT_API_AUTH_STRING": "me:and-my-own-password"}
    assert _prepared(str(home), **mine)["PREFECT_API_AUTH_STRING"] == mine["PREFECT_API_AUTH_STRING"]


def test_without_either_a_temporary_server_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tied: list[bool] = []
    monkeypatch.setattr(temporary_server, "tie", lambda: tied.append(True))
    assert "PREFECT_API_URL" not in _prepared(str(tmp_path))
    assert tied == [True]
