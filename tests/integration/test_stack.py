"""The started servers: `up`, what they do, what they survive, `down`. One start for all tests, which go in order."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from botocore.exceptions import ClientError
from mlflow.server.assistant.api import assistant_router
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from infra.doctor.checks import checks
from infra.stack import orphans, programs
from infra.stack.place import Stack
from infra.stack.ports import is_free
from infra.stack.status import Process, status
from infra.stack.supervisor import Supervisor
from tmu.errors import ConfigError, StorageError
from tmu.settings import STACK, load_settings
from tmu.stores.mlflow_login import login_variables
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FIRST_PORT = 25100
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/hello.txt"


def _infra(verb: str, home: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """Call a verb as `make` does and return its JSON. Variables of the caller that could help are taken away."""
    ours = ("AWS_", "PREFECT_", "TMU_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "infra", verb, "--workspace", str(home), "--json", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new workspace whose servers run."""
    try:
        programs.postgres(Path("/nowhere"))
    except ConfigError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("stack") / "service"
    try:
        _infra("up", folder, "--first-port", str(FIRST_PORT))
        yield folder
    finally:
        if (folder / STACK).exists():
            _infra("down", folder, "--delete-data", "--yes")


def _s3(home: Path, key: str | None = None, secret: SecretStr | None = None) -> Any:
    settings = load_settings(home)
    pair = (key, secret) if key else (settings.s3_read_key, settings.s3_read_secret)
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        aws_access_key_id=pair[0],
        aws_secret_access_key=pair[1].get_secret_value(),
        region_name="us-east-1",
    )


def _keys(home: Path, bucket: str) -> list[str]:
    return [found["Key"] for found in _s3(home).list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_every_process_is_well_and_small(home: Path):
    found = _infra("status", home)
    names = {each["name"] for each in found["processes"]}
    assert {"postgres", "s3", "prefect", "mlflow", "api"} < names
    assert any(name.startswith("worker-") for name in names)
    assert ("ceph-osd" in names) == programs.has_ceph()
    assert found["well"]
    assert 300 < found["memory_mib"] < 2048


def test_the_settings_are_private_and_outside_of_git(home: Path):
    for path in (home / STACK, home / ".tmu" / "stack" / "supervisord.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((home / ".tmu").stat().st_mode) == 0o700
    assert (home / ".tmu" / ".gitignore").read_text() == "*\n"


def test_no_secret_is_an_argument_of_a_process(home: Path):
    stack = Stack.open(home)
    names = ("postgres_password", "s3_secret_key", "s3_read_secret", "prefect_database", "mlflow_database")
    secrets = [stack.need("ledger"), *(stack.need(name) for name in names)]
    secrets += [each.split(":")[2].split("@")[0] for each in secrets if "://" in each]
    secrets += [stack.need(name).split(":")[1] for name in ("prefect_login", "mlflow_login")]
    standing, arguments = _standing(home), {}
    for pid in orphans.find(stack):
        with contextlib.suppress(psutil.NoSuchProcess):  # the child of a scheduled run may end meanwhile
            arguments[pid] = " ".join(psutil.Process(pid).cmdline())
    assert standing.keys() <= arguments.keys()
    assert not [pid for pid, line in arguments.items() for secret in secrets if secret in line]


def _prefect(home: Path, login: bool = True) -> httpx.Client:
    """A client of Prefect's API, as a program of another account would have it, or with the login."""
    api = Stack.open(home).prefect
    return httpx.Client(base_url=api.url, auth=api.auth if login else None, trust_env=False, timeout=60)


def _mlflow(home: Path, login: bool = True) -> httpx.Client:
    """The same for MLflow."""
    settings = load_settings(home)
    auth = tuple(login_variables(settings).values()) if login else None
    return httpx.Client(base_url=settings.mlflow_uri, auth=auth, trust_env=False, timeout=60)


def _deployment(client: httpx.Client, name: str = "deadline-watch") -> dict[str, Any]:
    return client.get(f"/deployments/name/{name}/{name}").raise_for_status().json()


def test_mlflow_stores_artifacts_for_a_client_without_a_key(home: Path):
    with _mlflow(home) as client:
        assert client.put(ARTIFACT, content=b"hello").status_code == 200
        assert client.get(ARTIFACT).content == b"hello"
    assert "hello.txt" in _keys(home, "tmu-mlflow")


def test_without_login_mlflow_takes_no_write_and_overwrites_no_artifact(home: Path):
    with _mlflow(home, login=False) as stranger, _mlflow(home) as client:
        body = {"name": "mine"}
        for auth in (None, ("tmu", "guessed"), ("", "")):
            assert stranger.post("/api/2.0/mlflow/experiments/create", json=body, auth=auth).status_code == 401
            assert stranger.put(ARTIFACT, content=b"overwritten", auth=auth).status_code == 401
            assert stranger.request("DELETE", ARTIFACT, auth=auth).status_code == 401
        assert client.get(ARTIFACT).content == b"hello"
        assert client.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "mine"}).is_error
        assert stranger.get("/health").status_code == 200


def test_mlflows_assistant_which_runs_commands_is_closed_to_everybody(home: Path):
    assert assistant_router.prefix
    with _mlflow(home) as client:
        for path in ("/config", "/message", "/skills/install"):
            answers = [client.request(verb, assistant_router.prefix + path, json={}) for verb in ("GET", "POST", "PUT")]
            assert {answer.status_code for answer in answers} == {404}


def test_without_login_prefect_starts_no_flow_run(home: Path):
    with _prefect(home) as client, _prefect(home, login=False) as stranger:
        path = f"/deployments/{_deployment(client)['id']}/create_flow_run"
        runs = client.post("/flow_runs/count", json={}).json()
        for auth in (None, ("tmu", "guessed"), ("", "")):
            assert stranger.post(path, json={}, auth=auth).status_code == 401
            assert stranger.post("/flow_runs/filter", json={}, auth=auth).status_code == 401
        assert client.post("/flow_runs/count", json={}).json() == runs


def test_without_login_prefects_web_sockets_take_and_tell_nothing(home: Path):
    address = load_settings(home).prefect_api_url.replace("http", "ws", 1)
    for path in ("/events/in", "/events/out", "/logs/out"):
        with connect(address + path, subprotocols=["prefect"], proxy=None) as socket:
            socket.send(json.dumps({"type": "auth", "token": "tmu:guessed"}))
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=30)
        with pytest.raises(InvalidStatus, match="403"):
            connect(address + path, subprotocols=["prefect"], origin="http://evil.example", proxy=None)


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "http://127.0.0.1:9"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Host": "evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=["origin", "other port", "no origin", "host"])
def test_a_page_from_elsewhere_is_refused_also_with_the_login_and_no_content_type(home: Path, headers: dict[str, str]):
    """Such a POST needs no preflight, and a browser may have the login at hand."""
    with _prefect(home) as prefect, _mlflow(home) as mlflow:
        path = f"/deployments/{_deployment(prefect)['id']}/create_flow_run"
        runs = prefect.post("/flow_runs/count", json={}).json()
        answers = [
            prefect.post(path, content=b"{}", headers=headers),
            mlflow.post("/api/2.0/mlflow/experiments/create", content=b'{"name": "mine"}', headers=headers),
            mlflow.put(ARTIFACT, content=b"overwritten", headers=headers),
        ]
        assert {answer.status_code for answer in answers} == {400 if "Host" in headers else 403}
        assert prefect.post("/flow_runs/count", json={}).json() == runs
        assert mlflow.get(ARTIFACT).content == b"hello"


def test_the_worker_executes_no_command_of_a_run_or_a_deployment(home: Path, tmp_path: Path):
    """Not even of who has the login: where the server lets such variables pass, the worker refuses the run."""
    mark = tmp_path / "X"
    evil = [
        {"command": f"touch {mark}"},
        {"env": {"PYTHONPATH": str(tmp_path)}},
        {"env.PYTHONPATH": str(tmp_path)},
        {"working_dir": str(tmp_path)},
    ]
    (tmp_path / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w')")
    with _prefect(home) as client:
        found = _deployment(client)
        base = {"flow_id": found["flow_id"], "deployment_id": found["id"], "work_pool_name": "tmu"}
        base |= {"work_queue_name": "critical", "state": {"type": "SCHEDULED"}}
        runs = []
        for variables in evil:
            refused = client.post(f"/deployments/{found['id']}/create_flow_run", json={"job_variables": variables})
            assert refused.status_code == 422
            made = client.post("/flow_runs/", json={**base, "job_variables": variables})
            runs.append(made.raise_for_status().json()["id"])
        other = {"name": "evil", "flow_id": found["flow_id"], "entrypoint": f"{tmp_path}/sitecustomize.py:flow"}
        other |= {"work_pool_name": "tmu", "work_queue_name": "critical"}
        made = client.post("/deployments/", json=other).raise_for_status().json()
        body = {"state": {"type": "SCHEDULED"}}
        runs.append(
            client.post(f"/deployments/{made['id']}/create_flow_run", json=body).raise_for_status().json()["id"]
        )
        client.patch(f"/deployments/{found['id']}", json={"job_variables": evil[0]}).raise_for_status()
        runs.append(client.post("/flow_runs/", json=base).raise_for_status().json()["id"])
        _until(lambda: all(client.get(f"/flow_runs/{run}").json()["state_type"] == "CRASHED" for run in runs), 120)
        why = [client.get(f"/flow_runs/{run}").json()["state"]["message"] for run in runs]
        client.delete(f"/deployments/{made['id']}").raise_for_status()
        client.patch(f"/deployments/{found['id']}", json={"job_variables": {}}).raise_for_status()
        good = client.post(f"/deployments/{found['id']}/create_flow_run", json=body).raise_for_status().json()["id"]
        _until(lambda: client.get(f"/flow_runs/{good}").json()["state_type"] == "COMPLETED", 120)
    assert all("This worker refuses the run" in each for each in why)
    assert not mark.exists()


def test_the_login_is_told_to_who_may_read_the_settings(home: Path):
    settings = load_settings(home)
    told = {name: getattr(settings, f"{name}_login").get_secret_value() for name in ("prefect", "mlflow")}
    assert _infra("login", home) == told
    logs = "".join(path.read_text(errors="replace") for path in (home / ".tmu" / "stack" / "logs").glob("*.log"))
    assert not [login for login in told.values() if login.partition(":")[2] in logs]


def test_the_doctor_finds_that_both_servers_ask_for_a_login(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    found = {check.name: check for check in checks(Workspace.open(home))}
    assert [found[f"{name} login"].state for name in ("Prefect", "MLflow")] == ["ok", "ok"]
    monkeypatch.setenv("TMU_MLFLOW_LOGIN", "tmu:some-other-password")
    monkeypatch.setenv("TMU_PREFECT_LOGIN", "tmu:some-other-password")
    wrong = {check.name: check for check in checks(Workspace.open(home))}
    assert "refuses the configured login" in wrong["Prefect login"].text
    assert "refuses the configured login" in wrong["MLflow login"].text
    assert "refuses the login" in wrong["Prefect"].text


def test_artifacts_and_data_reach_their_buckets_by_the_settings_alone(home: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    workspace = Workspace.open(home)
    with workspace.artifacts.create("note", "k", {}) as folder:
        (folder / "note.txt").write_text("x")
    assert any(key.startswith("note/k/") for key in _keys(home, "tmu-artifacts"))
    workspace.versions.push()
    assert _keys(home, "tmu-dvc")


def test_the_ledger_is_in_postgresql_and_a_wrong_password_is_refused(home: Path):
    from tmu.ledger.place import open_ledger
    from tmu.ledger.store import Ledger

    open_ledger(Workspace.open(home)).close()
    address = load_settings(home).ledger
    password = address.split(":")[2].split("@")[0]
    with pytest.raises(StorageError, match="did not answer, or refused") as refused:
        Ledger.open(address.replace(password, "wrong"))
    assert password not in str(refused.value)


def test_the_auditor_reads_and_cannot_write_or_delete(home: Path):
    settings = load_settings(home)
    owner = _s3(home, settings.s3_access_key, settings.s3_secret_key)
    first = owner.put_object(Bucket="tmu-artifacts", Key="a", Body=b"1")["VersionId"]
    owner.put_object(Bucket="tmu-artifacts", Key="a", Body=b"2")
    auditor = _s3(home)
    assert auditor.get_object(Bucket="tmu-artifacts", Key="a")["Body"].read() == b"2"
    assert auditor.get_object(Bucket="tmu-artifacts", Key="a", VersionId=first)["Body"].read() == b"1"
    for attempt in (
        lambda: auditor.put_object(Bucket="tmu-artifacts", Key="b", Body=b""),
        lambda: auditor.delete_object(Bucket="tmu-artifacts", Key="a"),
        lambda: auditor.delete_object(Bucket="tmu-artifacts", Key="a", VersionId=first),
        lambda: auditor.create_bucket(Bucket="mine"),
        lambda: auditor.put_bucket_versioning(Bucket="tmu-artifacts", VersioningConfiguration={"Status": "Suspended"}),
        lambda: _s3(home, settings.s3_access_key, SecretStr("wrong")).list_objects_v2(Bucket="tmu-artifacts"),
        lambda: _s3(home, "NOBODY", SecretStr("wrong")).list_objects_v2(Bucket="tmu-artifacts"),
    ):
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_second_up_changes_nothing(home: Path):
    before = _standing(home)
    assert _infra("up", home, "--no-bootstrap")["started"] == []
    assert _standing(home) == before


def test_servers_that_are_killed_are_started_again(home: Path):
    before, killed = _processes(home), ("mlflow", "prefect")
    for name in killed:
        os.kill(before[name].pid, signal.SIGKILL)
    _until(lambda: all(_processes(home)[name].pid not in (None, before[name].pid) for name in killed))
    _until(lambda: all(process.health is None for process in _processes(home).values()))
    after = _processes(home)
    assert [after[name].restarts for name in killed] == [1, 1]
    assert after["s3"].pid == before["s3"].pid


def test_status_says_which_server_is_down(home: Path):
    supervisor = Supervisor(Stack.open(home))
    supervisor.stop_process("mlflow")
    found = _infra("status", home, code=1)
    assert [each["name"] for each in found["processes"] if each["health"]] == ["mlflow"]
    supervisor.start_process("mlflow")


def test_after_the_death_of_supervisord_up_begins_anew(home: Path):
    stack = Stack.open(home)
    _until(lambda: all(process.health is None for process in _processes(home).values()))
    before = orphans.find(stack)
    supervisor = next(pid for pid, name in before.items() if name == "supervisord")
    os.kill(supervisor, signal.SIGKILL)
    _until(lambda: not psutil.pid_exists(supervisor))
    assert _infra("status", home, code=1)["notes"]
    found = _infra("up", home, "--no-bootstrap")
    assert any("left" in note for note in found["notes"])
    after = orphans.find(stack)
    assert set(after.values()) == set(before.values())  # a worker may have the child of a scheduled run beside it
    assert not set(after) & set(before)
    assert "note/k/manifest.json" in _keys(home, "tmu-artifacts") or not programs.has_ceph()


def test_down_leaves_nothing_running_and_the_data_in_place(home: Path):
    stack = Stack.open(home)
    data = Path(stack.need("postgres_data"))
    ports = [load_settings(home).prefect_api_url, load_settings(home).mlflow_uri]
    _infra("down", home)
    assert orphans.find(stack) == {}
    assert all(is_free(int(url.split(":")[2].split("/")[0])) for url in ports)
    assert (data / "PG_VERSION").exists()
    assert not _infra("status", home, code=1)["well"]
    removed = _infra("down", home, "--delete-data", "--yes")["removed"]
    assert removed
    assert not data.exists()
    assert (home / "params.yaml").exists()


def _standing(home: Path) -> dict[int | None, str]:
    """All processes of the stack, but not the child that a worker has during a scheduled run."""
    workers = {process.pid: name for name, process in _processes(home).items() if name.startswith("worker")}
    found = orphans.find(Stack.open(home)).items()
    return workers | {pid: name for pid, name in found if not name.startswith("worker")}


def _processes(home: Path) -> dict[str, Process]:
    return {process.name: process for process in status(Stack.open(home)).processes}


def _until(true: Callable[[], bool], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.3)
