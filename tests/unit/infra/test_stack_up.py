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
from infra.stack.status import Status
from infra.stack.supervisor import Supervisor
from tmu.cli import output
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
    for home in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(ConfigError, match="no workspace") as refused:
            _up(home)
        assert "make up WORKSPACE=" in refused.value.hint  # `make up` has no --home
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_workspace_without_data_is_told_to_import_some(tmp_path: Path):
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    with pytest.raises(DataError, match="no data"):
        _up(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_what_a_step_says_is_its_owners_alone(stack: Stack):
    before = os.umask(0o022)
    try:
        with pytest.raises(StorageError, match="`import` failed: error: no disk"):
            up._call(stack, "import", ["sh", "-c", "echo error: no disk; exit 1"])
    finally:
        os.umask(before)
    assert stack.state("logs", "import.log").stat().st_mode & 0o777 == 0o600


def test_a_port_that_somebody_took_is_named(stack: Stack):
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        server = Server("mlflow", [], {}, probe=lambda: None, port=port, label="MLflow server")
        with pytest.raises(ConfigError, match=f"Port {port} of MLflow server is taken"):
            up.supervised(stack, [server], up.Result(0.0, True))
    assert not stack.state("supervisord.pid").exists()


def test_a_server_that_ends_again_and_again_is_given_up(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    pids = iter(range(1, 100))
    monkeypatch.setattr(Supervisor, "states", lambda self: {"mlflow": {"pid": next(pids)}})
    monkeypatch.setattr(up.time, "sleep", lambda seconds: None)
    server = Server("mlflow", [], {}, probe=lambda: "refuses connections", label="MLflow server")
    with pytest.raises(StorageError, match="MLflow server exits repeatedly") as refused:
        up.await_server(Supervisor(stack), server, up.Event())
    assert "mlflow.log" in refused.value.hint


def test_a_call_does_not_inherit_the_json_of_one_before(tmp_path: Path):
    asked = CliRunner().invoke(app, ["status", "--json", "--workspace", str(tmp_path)])
    assert "make up" in asked.stdout
    result = CliRunner().invoke(app, ["status", "--workspace", str(tmp_path)])
    assert (result.stdout, "make up" in result.stderr) == ("", True)


@pytest.mark.parametrize("verb", ["down", "status", "logs", "login"])
def test_the_verbs_say_that_nothing_was_started(tmp_path: Path, verb: str):
    result = CliRunner().invoke(app, [verb, "--workspace", str(tmp_path)])
    assert result.exit_code == ConfigError.exit_code
    assert "make up" in result.stderr


def test_a_tilde_that_the_shell_left_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["status", "--workspace", "~/clinic"])
    assert f"No stack was started in {tmp_path / 'clinic'} yet." in result.stderr


def test_the_logins_are_shown_to_who_may_read_the_settings(stack: Stack):
    shown = CliRunner().invoke(app, ["login", "--workspace", str(stack.home)]).stdout
    exported = CliRunner().invoke(app, ["login", "--export", "--workspace", str(stack.home)]).stdout
    name, _, password = stack.need("mlflow_login").partition(":")
    assert stack.need("prefect_login") in shown
    assert f"export PREFECT_API_AUTH_STRING={stack.need('prefect_login')}\n" in exported
    assert password in shown
    assert f"export MLFLOW_TRACKING_USERNAME={name}\nexport MLFLOW_TRACKING_PASSWORD={password}\n" in exported


@pytest.mark.parametrize("made", [True, False])
def test_up_shows_the_logins_when_they_were_made_and_then_no_more(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, made: bool
):
    monkeypatch.setattr(up, "up", lambda *_, **__: (stack, up.Result(1.0, made, ["mlflow"])))
    monkeypatch.setattr(output.MODE, "json", False)  # --json would stay for the tests after this one
    monkeypatch.setattr("infra.stack.status.status", lambda _: Status(str(stack.home), []))
    for more in ([], ["--json"]):
        result = CliRunner().invoke(app, ["up", "--workspace", str(stack.home), *more])
        assert result.exit_code == 0, result.output
        assert (stack.need("prefect_login") in result.stdout) is (made and not more)


@pytest.mark.parametrize("verb", ["up", "down", "status", "logs", "login"])
def test_the_stack_of_another_user_is_refused_in_a_line(stack: Stack, monkeypatch: pytest.MonkeyPatch, verb: str):
    """Tests may run as root, whom nothing is closed to."""

    def closed(home: Path) -> None:
        raise PermissionError(13, "Permission denied", str(home / STACK))

    monkeypatch.setattr("infra.stack.place.load_settings", closed)
    monkeypatch.setattr(up, "refuse_unusable", lambda home, new: closed(home))
    result = CliRunner().invoke(app, [verb, "--workspace", str(stack.home)])
    assert result.exit_code == ConfigError.exit_code
    assert "Run this as the user who started the stack" in result.stderr
    assert str(stack.home / STACK) in result.stderr


def test_a_log_that_is_not_there_is_refused_with_those_that_are(stack: Stack):
    stack.state("logs").mkdir(parents=True)
    stack.state("logs", "mlflow.log").write_text("line\n")
    result = CliRunner().invoke(app, ["logs", "mlfow", "--workspace", str(stack.home)])
    assert (result.exit_code, "mlflow" in result.stderr) == (ConfigError.exit_code, True)


@pytest.mark.parametrize("verb", ["down", "status"])
def test_every_output_names_the_stand_in(stack: Stack, verb: str):
    result = CliRunner().invoke(app, [verb, "--workspace", str(stack.home)])
    assert "trials only" in " ".join(result.output.split())


def test_data_are_removed_only_when_somebody_says_yes(stack: Stack):
    result = CliRunner().invoke(app, ["down", "--delete-data", "--workspace", str(stack.home)], input="n\n")
    assert result.exit_code == 1
    assert (stack.home / STACK).exists()
    result = CliRunner().invoke(app, ["down", "--delete-data", "--yes", "--workspace", str(stack.home)])
    assert result.exit_code == 0, result.output
    assert not (stack.home / STACK).exists()


def test_a_database_folder_of_somebody_elses_name_is_not_removed(stack: Stack, tmp_path: Path):
    from infra.stack.remove_data import doomed

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


FAKES = {  # what each does that would change the machine, noted in `calls`
    "apt-get": 'echo "apt-get $*" >>"$CALLS"; for i in {1..50}; do echo "Unpacking $i"; done; exit "$APT"',
    "mkdir": 'echo "mkdir $*" >>"$CALLS"',
    "tee": 'read -r line; echo "tee $*: $line" >>"$CALLS"',
    "id": "echo 0",
    "ls": "exit 2",
}


def _install(folder: Path, apt: int, *there: str) -> tuple[str, list[str]]:
    """Run the installer as root on a bare machine, with nothing that reaches the real one: its stderr, its calls."""
    for name, body in (FAKES | dict.fromkeys(there, "exit 0")).items():
        (folder / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (folder / name).chmod(0o700)
    for name in ("bash", "env", "mktemp", "rm", "tail"):
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    variables = {"PATH": str(folder), "TMPDIR": str(folder), "CALLS": str(folder / "calls"), "APT": str(apt)}
    done = subprocess.run([INSTALL], env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr, (folder / "calls").read_text().splitlines()


def test_the_installer_lets_debian_make_no_database_of_its_own(tmp_path: Path):
    said, calls = _install(tmp_path, 0)
    assert [call.split()[0] for call in calls] == ["mkdir", "tee", "apt-get", "apt-get"]
    assert calls[1] == "tee /etc/postgresql-common/createcluster.d/tmu.conf: create_main_cluster = false"
    assert len(said.splitlines()) == 1
    assert list(tmp_path.glob("tmp.*")) == []


def test_the_installer_leaves_a_postgresql_that_is_there_alone(tmp_path: Path):
    _, calls = _install(tmp_path, 0, "postgres")
    assert [call.split()[0] for call in calls] == ["apt-get", "apt-get"]


def test_the_installer_shows_the_end_of_what_failed_and_where_the_rest_is(tmp_path: Path):
    said, _ = _install(tmp_path, 100)
    lines = said.splitlines()
    assert lines[1:-1] == [f"Unpacking {i}" for i in range(46, 51)]
    (log,) = tmp_path.glob("tmp.*")
    assert str(log) in lines[-1]
