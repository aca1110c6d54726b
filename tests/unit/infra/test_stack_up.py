"""What `up` refuses before anything is started, and what the verbs say of it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.__main__ import app
from infra.stack import up
from infra.stack.place import Stack
from infra.stack.ports import LOOPBACK
from infra.stack.server import Server
from infra.stack.supervisor import Supervisor
from tmu.errors import ConfigError, DataError, StorageError
from tmu.settings import STACK

INSTALL = Path(__file__).parents[3] / "infra" / "install.sh"


@pytest.fixture(autouse=True)
def postgres_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "postgres", lambda data: Path("/opt/pg"))
    monkeypatch.setattr("infra.stack.postgres.postgres", lambda data: Path("/opt/pg"))


def _up(home: Path) -> None:
    up.up(home, s3="moto", first_port=22000, tell=lambda *_: None)


def test_without_postgresql_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(data: Path) -> Path:
        raise ConfigError("PostgreSQL is not installed.", "Install it.")

    monkeypatch.setattr(up, "postgres", missing)
    with pytest.raises(ConfigError, match="not installed"):
        _up(tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_folder_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not a workspace"):
        _up(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_workspace_without_data_is_told_to_import_some(tmp_path: Path):
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    with pytest.raises(DataError, match="no data"):
        _up(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_port_that_somebody_took_is_named(stack: Stack):
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        server = Server("mlflow", [], {}, probe=lambda: None, port=port, label="MLflow server")
        with pytest.raises(ConfigError, match=f"Port {port} of MLflow server is taken"):
            up._supervised(stack, [server], up.Result(0.0, True))
    assert not stack.state("supervisord.pid").exists()


def test_a_server_that_ends_again_and_again_is_given_up(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    pids = iter(range(1, 100))
    monkeypatch.setattr(Supervisor, "states", lambda self: {"mlflow": {"pid": next(pids)}})
    monkeypatch.setattr(up.time, "sleep", lambda seconds: None)
    server = Server("mlflow", [], {}, probe=lambda: "refuses connections", label="MLflow server")
    with pytest.raises(StorageError, match="MLflow server ends again and again") as refused:
        up._await(Supervisor(stack), server, up.Event())
    assert "mlflow.log" in refused.value.mend


@pytest.mark.parametrize("verb", ["down", "status", "logs"])
def test_the_verbs_say_that_nothing_was_started(tmp_path: Path, verb: str):
    result = CliRunner().invoke(app, [verb, "--workspace", str(tmp_path)])
    assert result.exit_code == ConfigError.exit_code
    assert "make up" in result.stderr


def test_a_log_that_is_not_there_is_refused_with_those_that_are(stack: Stack):
    stack.state("logs").mkdir(parents=True)
    stack.state("logs", "mlflow.log").write_text("line\n")
    result = CliRunner().invoke(app, ["logs", "mlfow", "--workspace", str(stack.home)])
    assert (result.exit_code, "mlflow" in result.stderr) == (ConfigError.exit_code, True)


@pytest.mark.parametrize("verb", ["down", "status"])
def test_every_output_names_the_stand_in(stack: Stack, verb: str):
    result = CliRunner().invoke(app, [verb, "--workspace", str(stack.home)])
    assert "stand-in" in " ".join(result.output.split())


def test_data_are_removed_only_when_somebody_says_yes(stack: Stack):
    result = CliRunner().invoke(app, ["down", "--delete-data", "--workspace", str(stack.home)], input="n\n")
    assert result.exit_code == 1
    assert (stack.home / STACK).exists()
    result = CliRunner().invoke(app, ["down", "--delete-data", "--yes", "--workspace", str(stack.home)])
    assert result.exit_code == 0, result.output
    assert not (stack.home / STACK).exists()


def test_a_database_folder_of_somebody_elses_name_is_not_removed(stack: Stack, tmp_path: Path):
    from infra.stack.delete import doomed

    theirs = tmp_path / "theirs" / "data"
    theirs.mkdir(parents=True)
    text = re.sub(r"postgres_data = .*", f'postgres_data = "{theirs}"', (stack.home / STACK).read_text())
    (stack.home / STACK).write_text(text)
    assert theirs.parent not in doomed(Stack.open(stack.home))


STARTER = """
import json, os, sys
from infra.stack import mlflow_main

def execute(program, command, environment):
    print(json.dumps([command, environment]))
    raise SystemExit(0)

os.execvpe = execute
sys.argv[1:] = ["server", "--port", "5999", "--workers", "1", "--artifacts-destination", sys.argv[1]]
mlflow_main.main()
"""


def test_mlflow_starts_its_pages_through_what_we_replace(tmp_path: Path):
    """One process, all secrets in variables. In a process of its own: MLflow's server sets the registry for good."""
    mine = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/hidden.db",
    }
    starter = [sys.executable, "-c", STARTER, str(tmp_path / "a")]
    done = subprocess.run(starter, env={**os.environ, **mine}, capture_output=True, text=True, check=True)
    command, environment = json.loads(done.stdout.splitlines()[-1])
    assert "uvicorn" in command
    assert "5999" in command
    assert "hidden" not in " ".join(command)
    assert "hidden" in str(environment)


def test_the_installer_says_what_is_missing_where_it_may_not_install(tmp_path: Path):
    for name in ("bash", "id", "ls"):
        (tmp_path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    done = subprocess.run([INSTALL], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "radosgw ceph-mon ceph-osd ceph-common" in done.stderr
