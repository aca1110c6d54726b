"""The login of MLflow's server goes with the server's address, and never to another."""

import os
from pathlib import Path

import pytest

from tmu.errors import ConfigError
from tmu.settings import load_settings
from tmu.stores.mlflow_login import login_variables
from tmu.workspace import Workspace

NAMES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)


def _settings(home: Path, text: str) -> Path:
    (home / "params.yaml").write_text("seed: 0\n")
    (home / "tmu.toml").write_text(text)
    return home


def test_the_registry_logs_in(tmp_path: Path) -> None:
    home = _settings(tmp_path, 'mlflow_uri = "http://127.0.0.1:9"\nmlflow_login = "me:pass:word-that-is-long"\n')
    assert Workspace.open(home).registry.uri == "http://127.0.0.1:9"
    assert [os.environ[name] for name in NAMES] == ["me", "pass:word-that-is-long"]


def test_a_store_in_the_workspace_asks_for_none(tmp_path: Path) -> None:
    home = _settings(tmp_path, 'mlflow_login = "me:password-that-is-long"\n')
    assert login_variables(load_settings(home)) == {}


@pytest.mark.parametrize("login", ["me", "me:short", ":password-that-is-long", ""])
def test_a_login_that_is_none_is_refused_without_showing_it(tmp_path: Path, login: str) -> None:
    with pytest.raises(ConfigError, match="`mlflow_login`") as refused:
        load_settings(_settings(tmp_path, f'mlflow_login = "{login}"\n'))
    assert "name:password" in refused.value.what
    assert not login or f'"{login}"' not in str(refused.value)


def test_stored_files_come_through_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client needs no way to the S3 store: from there MLflow's own tries would hold a deletion for minutes."""
    from mlflow.environment_variables import MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD as STRAIGHT

    from tmu.stores import mlflow_link

    monkeypatch.delenv(STRAIGHT.name, raising=False)
    mlflow_link.quiet()
    assert STRAIGHT.get() is False and STRAIGHT.is_set()
