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
from pydantic import SecretStr

from infra.stack import orphans, programs
from infra.stack.place import Stack
from infra.stack.ports import is_free
from infra.stack.status import Process, status
from infra.stack.supervisor import Supervisor
from tmu.errors import ConfigError, StorageError
from tmu.settings import STACK, load_settings
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FIRST_PORT = 25100


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


def test_mlflow_stores_artifacts_for_a_client_without_a_key(home: Path):
    page = f"{load_settings(home).mlflow_uri}/api/2.0/mlflow-artifacts/artifacts/hello.txt"
    with httpx.Client(trust_env=False, timeout=60) as client:
        assert client.put(page, content=b"hello").status_code == 200
        assert client.get(page).content == b"hello"
    assert "hello.txt" in _keys(home, "tmu-mlflow")


def test_artifacts_and_data_reach_their_buckets_by_the_settings_alone(home: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    workspace = Workspace.open(home)
    with workspace.artifacts.create("note", "k", {}) as folder:
        (folder / "note.txt").write_text("x")
    assert any(key.startswith("note/k/") for key in _keys(home, "tmu-artifacts"))
    workspace.versions.push()
    assert _keys(home, "tmu-dvc")


def test_a_page_from_elsewhere_may_not_call_prefect(home: Path):
    url = f"{load_settings(home).prefect_api_url}/deployments/filter"
    own = url.split("/api/")[0]
    with httpx.Client(trust_env=False, timeout=60) as client:
        answers = {
            origin: client.post(url, json={}, headers={"Origin": origin}) for origin in (own, "http://evil.example")
        }
    allowed = {origin: answer.headers.get("access-control-allow-origin") for origin, answer in answers.items()}
    assert allowed == {own: own, "http://evil.example": None}


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


def _until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.3)
