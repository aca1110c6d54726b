"""Bootstrapping, zombies and leases against one real Prefect server, with its scheduler and its automations."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml

pytest.importorskip("prefect")

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    BlockDocumentUpdate,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolUpdate,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events import Event
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Pending, Running, Suspended

from infra.bootstrap import bootstrap
from infra.bootstrapping import zombies as automation
from infra.bootstrapping.plan import Change, Plan
from infra.doctor.check_prefect import prefect_checks
from infra.prefect_ops import reconcile, zombies
from infra.prefect_ops.client import connected
from infra.prefect_ops.zombies import crash, find_zombies
from tmu.check import Check
from tmu.errors import StorageError
from tmu.prefect_api import PrefectApi
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow

AT_ONCE = timedelta(0)
ROOT = Path(__file__).parents[2]
FILE = {
    "name": "test",
    "pull": [],
    "deployments": [
        {
            "name": "first",
            "entrypoint": "tests/bootstrap_flows.py:first_flow",
            "tags": ["tmu"],
            "work_pool": {"name": "tmu", "work_queue_name": "critical"},
            "schedules": [{"slug": "hourly", "cron": "0 * * * *"}, {"slug": "daily", "cron": "0 2 * * *"}],
        },
        {
            "name": "second",
            "entrypoint": "tests/bootstrap_flows.py:second_flow",
            "tags": ["tmu"],
            "work_pool": {"name": "tmu", "work_queue_name": "training"},
            "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
        },
    ],
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectApi]:
    """A server of its own on SQLite with a login, as the stack starts it, quick to look at its automations."""
    folder = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free_port:
        free_port.bind(("127.0.0.1", 0))
        port = str(free_port.getsockname()[1])
    made = PrefectApi(f"http://127.0.0.1:{port}/api", "tmu:a-login-for-this-test")
    environment = os.environ | {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": "",
        "PREFECT_SERVER_API_AUTH_STRING": made.login,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5",
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
        "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
        "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "PT1S",
    }
    command = [sys.executable, "-m", "infra.stack.prefect_main", port]
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        _until(lambda: _healthy(made), seconds=120)
        yield made
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(timeout=30)


def _healthy(api: PrefectApi) -> bool:
    try:
        return httpx.get(f"{api.url}/health", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _until(ready: Callable[[], Any], seconds: float) -> Any:
    until = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.25)
    return found


@pytest.fixture(scope="module")
def client(api: PrefectApi) -> Iterator[SyncPrefectClient]:
    with connected(api) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def abandoned(client: SyncPrefectClient) -> str:
    """A limit whose one slot is taken, with the shortest lease, by a holder that never renews it."""
    client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="abandoned", limit=1))
    client.increment_concurrency_slots_with_lease(["abandoned"], 1, "concurrency", lease_duration=60).raise_for_status()
    assert client.read_global_concurrency_limit_by_name("abandoned").active_slots == 1
    return "abandoned"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("code")
    _write(folder, FILE)
    return Plan(workspace=folder, root=folder, gpus=1, zone="Europe/Berlin")


def _write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "prefect.yaml").write_text(yaml.safe_dump(content))


@pytest.fixture
def made(api: PrefectApi, plan: Plan) -> Iterator[list[Change]]:
    """Everything is there; and the file is as it was afterwards."""
    yield bootstrap(api, plan)
    _write(plan.root, FILE)


def _done(changes: list[Change]) -> dict[str, str]:
    return {f"{each.kind} {each.name}": each.done for each in changes}


def _ids(client: SyncPrefectClient) -> list[Any]:
    deployments = client.read_deployments()
    return [
        client.read_work_pool("tmu").id,
        *sorted(queue.id for queue in client.read_work_queues(work_pool_name="tmu")),
        *sorted(limit.id for limit in client.read_global_concurrency_limits(limit=50, offset=0)),
        client.read_block_document_by_name("tmu-results", "local-file-system").id,
        *(found.id for found in client.read_automations()),
        *sorted(each.id for each in deployments),
        *sorted(part.id for each in deployments for part in each.schedules),
    ]


def test_everything_is_made_and_the_second_time_nothing_is_touched(
    api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    wanted = bootstrap(api, plan, apply=False)
    assert client.read_work_pools() == []  # a look makes nothing
    first = bootstrap(api, plan)
    assert set(_done(first).values()) == {"made"}
    assert _done(first) == _done(wanted)
    before = _ids(client)
    assert set(_done(bootstrap(api, plan)).values()) == {"kept"}
    assert _ids(client) == before
    queues = {queue.name: queue.priority for queue in client.read_work_queues(work_pool_name="tmu")}
    assert (queues["critical"], queues["training"]) == (1, 2)
    assert queues["default"] > 2


def test_without_the_login_nothing_is_made(api: PrefectApi, plan: Plan) -> None:
    for stranger in (PrefectApi(api.url), PrefectApi(api.url, "tmu:some-other-password")):
        with pytest.raises(StorageError, match="refuses the login") as refused:
            bootstrap(stranger, plan)
        assert "some-other" not in str(refused.value)


def test_a_pool_whose_template_was_changed_is_locked_again(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    from prefect.workers.process import ProcessWorker

    assert client.read_work_pool("tmu").base_job_template["variables"]["additionalProperties"] is False
    client.update_work_pool("tmu", WorkPoolUpdate(base_job_template=ProcessWorker.get_default_base_job_template()))
    assert _done(bootstrap(api, plan))["work pool tmu"] == "changed"
    for variables in (
        {"command": "touch X"},
        {"env": {"A": "b"}},
        {"env.A": "b"},
        {"working_dir": "/"},
        {"image": "x"},
    ):
        with pytest.raises(PrefectHTTPStatusError, match="422"):
            client.create_flow_run_from_deployment(
                client.read_deployment_by_name("first/first").id, job_variables=variables
            )


def test_a_schedule_makes_planned_runs_in_the_zone_of_the_settings(
    made: list[Change], client: SyncPrefectClient
) -> None:
    deployment = client.read_deployment_by_name("first/first")
    assert {each.schedule.timezone for each in deployment.schedules} == {"Europe/Berlin"}
    runs = _until(lambda: [run for run in client.read_flow_runs() if run.deployment_id == deployment.id], seconds=30)
    assert {run.state_type for run in runs} == {StateType.SCHEDULED}


def test_what_was_removed_comes_back_and_what_was_changed_is_put_right(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    client.delete_global_concurrency_limit_by_name("dvc-writer")
    client.update_global_concurrency_limit("gpu", GlobalConcurrencyLimitUpdate(limit=7, active=False))
    queue = client.read_work_queue_by_name("training", work_pool_name="tmu")
    client.update_work_queue(queue.id, priority=1)
    client.pause_automation(client.read_automations()[0].id)
    block = client.read_block_document_by_name("tmu-results", "local-file-system")
    client.update_block_document(block.id, BlockDocumentUpdate(data={"basepath": "/elsewhere"}))
    done = _done(bootstrap(api, plan))
    assert {name for name, what in done.items() if what != "kept"} == {
        "limit dvc-writer",
        "limit gpu",
        "queue training",
        "automation tmu-zombies",
        "block tmu-results",
    }
    again = client.read_block_document_by_name("tmu-results", "local-file-system")
    assert (again.id, again.data["basepath"]) == (block.id, str(plan.workspace / ".tmu" / "prefect" / "results"))
    queues = {each.name: each.priority for each in client.read_work_queues(work_pool_name="tmu")}
    assert (queues["critical"], queues["training"]) == (1, 2)
    limit = client.read_global_concurrency_limit_by_name("gpu")
    assert (limit.limit, limit.active) == (1, True)
    assert set(_done(bootstrap(api, plan)).values()) == {"kept"}


def test_a_schedule_taken_out_of_the_file_disappears_with_its_runs(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    first = {**FILE["deployments"][0], "schedules": []}
    _write(plan.root, {**FILE, "deployments": [first, FILE["deployments"][1]]})
    assert _done(bootstrap(api, plan))["deployment first"] == "changed"
    deployment = client.read_deployment_by_name("first/first")
    assert deployment.schedules == []
    assert [run for run in client.read_flow_runs() if run.deployment_id == deployment.id] == []


def test_a_deployment_taken_out_of_the_file_is_paused(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    _write(plan.root, {**FILE, "deployments": FILE["deployments"][1:]})
    assert _done(bootstrap(api, plan))["deployment first"] == "changed"
    assert client.read_deployment_by_name("first/first").paused
    assert "deployment first" not in _done(bootstrap(api, plan))
    client.resume_deployment(client.read_deployment_by_name("first/first").id)


def test_what_a_person_switched_off_stays_off(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    deployment = client.read_deployment_by_name("first/first")
    hourly = next(each for each in deployment.schedules if each.slug == "hourly")
    client.update_deployment_schedule(deployment.id, hourly.id, active=False)
    client.update_deployment(deployment.id, _update(tags=["tmu", "mine"]))  # so that it must be rewritten
    assert _done(bootstrap(api, plan))["deployment first"] == "changed"
    found = {each.slug: each.active for each in client.read_deployment_by_name("first/first").schedules}
    assert found == {"hourly": False, "daily": True}
    again = next(each for each in client.read_deployment_by_name("first/first").schedules if each.slug == "hourly")
    client.update_deployment_schedule(deployment.id, again.id, active=True)


def _update(**fields: Any) -> Any:
    from prefect.client.schemas.actions import DeploymentUpdate

    return DeploymentUpdate(**fields)


def test_a_flow_that_is_missing_stops_no_other(made: list[Change], api: PrefectApi, plan: Plan) -> None:
    bad = {**FILE["deployments"][0], "name": "third", "entrypoint": "tests/bootstrap_flows.py:third_flow"}
    _write(plan.root, {**FILE, "deployments": [bad, FILE["deployments"][1]]})
    changes = {each.name: each for each in bootstrap(api, plan, apply=False) if each.kind == "deployment"}
    assert changes["third"].done == "failed"
    assert "third_flow" in changes["third"].text
    assert changes["second"].done == "kept"


# flow runs whose process is gone


def _running(client: SyncPrefectClient, name: str = "second/second", pid: int | None = None) -> FlowRun:
    """A run that the server counts as running, in the process `pid`."""
    run = client.create_flow_run_from_deployment(client.read_deployment_by_name(name).id, state=Pending())
    client.set_flow_run_state(run.id, Running(), force=True)
    if pid is not None:
        client.update_flow_run(run.id, flow_version=None, infrastructure_pid=str(pid))
    return client.read_flow_run(run.id)


def _engine(run: UUID) -> subprocess.Popen[bytes]:
    """A process that looks like the one that Prefect starts for a run."""
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(300)", "prefect.engine"]
    child = subprocess.Popen(command, env=os.environ | {"PREFECT__FLOW_RUN_ID": str(run)}, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


@pytest.fixture
def run(made: list[Change], client: SyncPrefectClient) -> Iterator[FlowRun]:
    started = _running(client, pid=1)
    yield started
    client.delete_flow_run(started.id)


def _found(client: SyncPrefectClient, **how: Any) -> list[UUID]:
    return [each.run.id for each in find_zombies(client, **how)]


def test_a_run_is_a_zombie_once_its_process_was_killed(run: FlowRun, client: SyncPrefectClient) -> None:
    child = _engine(run.id)
    try:
        assert _found(client) == []
    finally:
        child.kill()
        child.wait()
    [zombie] = find_zombies(client)
    assert zombie.run.id == run.id
    task = client.create_task_run(_task(), run.id, "0", state=Running())
    assert crash(client, zombie)
    assert client.read_flow_run(run.id).state_type is StateType.CRASHED
    assert client.read_task_run(task.id).state_type is StateType.CRASHED
    assert _found(client) == []
    deployment = client.read_deployment_by_name("second/second")
    assert deployment.global_concurrency_limit.active_slots == 0


def test_a_run_in_a_process_that_had_waited_is_known_by_the_id_of_its_process(
    made: list[Change], client: SyncPrefectClient
) -> None:
    waiting = [sys.executable, "-c", "import time; print(flush=True); time.sleep(300)", "infra.stack.spare_main"]
    with subprocess.Popen(waiting, stdout=subprocess.PIPE) as spare:
        assert spare.stdout is not None
        spare.stdout.readline()
        run = _running(client, pid=spare.pid)
        before = run.start_time - timedelta(hours=1)
        resumed = run.model_copy(update={"start_time": before})
        earlier = run.model_copy(update={"state": run.state.model_copy(update={"timestamp": before})})
        try:
            assert _found(client) == []
            assert zombies.processes_here().works_on(resumed)  # it had been suspended, and goes on in a younger process
            assert not zombies.processes_here().works_on(earlier)  # another process with the id of one that is gone
        finally:
            spare.kill()
            spare.wait()
        assert _found(client) == [run.id]
    client.delete_flow_run(run.id)


def _task() -> Any:
    from prefect import task

    return task(name="work")(lambda: None)


def test_a_run_that_has_moved_on_is_not_crashed(run: FlowRun, client: SyncPrefectClient) -> None:
    [zombie] = find_zombies(client)
    client.set_flow_run_state(run.id, Suspended())
    assert not crash(client, zombie)
    assert client.read_flow_run(run.id).state_name == "Suspended"


def test_a_run_within_a_run_goes_with_it(run: FlowRun, client: SyncPrefectClient) -> None:
    from tests.bootstrap_flows import first_flow

    parent = client.create_task_run(_task(), run.id, "0", state=Running())
    child = client.create_flow_run(first_flow, parent_task_run_id=parent.id, state=Running())
    process = _engine(run.id)
    try:
        assert _found(client) == []
    finally:
        process.kill()
        process.wait()
    assert set(_found(client)) == {run.id, child.id}
    client.delete_flow_run(child.id)


def test_on_another_machine_only_silence_tells(
    run: FlowRun, api: PrefectApi, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _found(client, one_machine=False) == []  # it began a moment ago
    monkeypatch.setattr(zombies, "_SILENCE", timedelta(seconds=1))
    _until(lambda: _found(client, one_machine=False) == [run.id], seconds=10)
    monkeypatch.setattr(zombies, "_SILENCE", timedelta(seconds=60))
    _send(api, "prefect.flow-run.heartbeat", run.id)
    _until(lambda: zombies.heard_of(client, run, timedelta(seconds=60)), seconds=10)
    assert not zombies.heard_of(client, run, AT_ONCE)


def _send(api: PrefectApi, name: str, run: UUID, **more: Any) -> None:
    event = Event(event=name, resource={"prefect.resource.id": f"prefect.flow-run.{run}"}, **more)
    body = [event.model_dump(mode="json")]
    httpx.post(f"{api.url}/events", json=body, auth=api.auth, trust_env=False).raise_for_status()


def test_a_run_that_a_worker_took_and_never_started_is_found(
    made: list[Change], client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = client.create_flow_run_from_deployment(client.read_deployment_by_name("first/first").id, state=Pending())
    assert _found(client) == []
    monkeypatch.setattr(zombies, "_PENDING", AT_ONCE)
    assert _found(client) == [taken.id]
    client.delete_flow_run(taken.id)


def test_the_automation_crashes_a_silent_run_and_leaves_a_suspended_one(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "HEARTBEAT", 10 / 3)  # seconds: a window of 10 s, Prefect's least
    assert _done(bootstrap(api, plan))["automation tmu-zombies"] == "changed"
    time.sleep(1)  # until the server has taken the change up
    silent, suspended = _running(client, "first/first"), _running(client, "first/first")
    for each in (silent, suspended):
        _send(api, "prefect.flow-run.heartbeat", each.id)
    _until(lambda: all(_beats(client, each.id) for each in (silent, suspended)), seconds=20)
    client.set_flow_run_state(suspended.id, Suspended())  # a heartbeat that came after it would start the clock again
    _until(lambda: client.read_flow_run(silent.id).state_type is StateType.CRASHED, seconds=40)
    assert client.read_flow_run(suspended.id).state_name == "Suspended"
    for each in (silent, suspended):
        client.delete_flow_run(each.id)


def test_a_run_that_settles_is_suspended_after_its_first_heartbeat_arrived(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    waiting = {**FILE["deployments"][0], "name": "waiting", "entrypoint": "tests/bootstrap_flows.py:waiting_flow"}
    _write(plan.root, {**FILE, "deployments": [*FILE["deployments"], waiting]})
    bootstrap(api, plan)
    run = client.create_flow_run_from_deployment(client.read_deployment_by_name("waiting/waiting").id, state=Pending())
    mine = api.environment() | {"PREFECT__FLOW_RUN_ID": str(run.id), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    subprocess.run([sys.executable, "-m", "prefect.engine"], env=os.environ | mine, cwd=ROOT, check=True, timeout=60)
    assert client.read_flow_run(run.id).state_name == "Suspended"
    wanted = EventFilter(resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]))
    names = ("prefect.flow-run.heartbeat", "prefect.flow-run.Suspended")
    found = _until(lambda: _both(client.read_events(wanted, limit=50).events, names), seconds=10)
    assert [each.event for each in sorted(found, key=lambda each: each.received)] == list(names)
    client.delete_deployment(run.deployment_id)


def _beats(client: SyncPrefectClient, run: object) -> bool:
    """Whether the server has taken up a heartbeat of the run."""
    mine = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"]),
    )
    return bool(client.read_events(mine, limit=1).events)


def _both(events: list[Any], names: tuple[str, str]) -> list[Any] | None:
    found = [each for each in events if each.event in names]
    return found if len(found) == len(names) else None


# the clean-up takes one run at a time, and what is left of it may not stop it for good


@pytest.fixture
def cleaning(made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient) -> Iterator[UUID]:
    """A deployment with the limit of `reconcile` as prefect.yaml has it; its id."""
    real = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    limit = next(each["concurrency_limit"] for each in real if each["name"] == "reconcile")
    entry = {**FILE["deployments"][1], "name": "cleaning", "concurrency_limit": limit}
    _write(plan.root, {**FILE, "deployments": [*FILE["deployments"], entry]})
    bootstrap(api, plan)
    deployment = client.read_deployment_by_name("second/cleaning").id
    yield deployment
    client.delete_deployment(deployment)


def _next_run(client: SyncPrefectClient, deployment: UUID) -> FlowRun:
    """What a worker does with the next planned run."""
    run = client.create_flow_run_from_deployment(deployment)
    client.set_flow_run_state(run.id, Pending())
    return client.read_flow_run(run.id)


@pytest.mark.parametrize("died", ["pending", "running"])
def test_a_clean_up_whose_worker_died_does_not_stop_the_clean_up(
    cleaning: UUID, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, died: str
) -> None:
    """As `deadline-watch` finds it: runs of `reconcile` are cancelled one by one, until another flow cleans up."""
    monkeypatch.setattr(reconcile, "get_client", lambda sync_client: nullcontext(client))
    lost = _next_run(client, cleaning)
    if died == "running":
        client.update_flow_run(lost.id, flow_version=None, infrastructure_pid="1")
        client.set_flow_run_state(lost.id, Running())
    assert _next_run(client, cleaning).state_type is StateType.CANCELLED
    if died == "pending":
        assert lost.id not in _found(client)  # its worker may still start it
        monkeypatch.setattr(zombies, "_PENDING", AT_ONCE)
    assert reconcile.clean_up()["runs whose process is gone"] == 1
    assert client.read_flow_run(lost.id).state_type is StateType.CRASHED
    assert _next_run(client, cleaning).state_type is StateType.PENDING


# what `tmu doctor` makes of it


def test_the_doctor_finds_what_drifted_and_mends_it(
    run: FlowRun, api: PrefectApi, plan: Plan, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plan, "of", classmethod(lambda cls, workspace: plan))
    place = Workspace.create(plan.workspace / "w")
    client.delete_global_concurrency_limit_by_name("dvc-writer")
    found = {check.name: check for check in prefect_checks(api, place)}
    states = {name: check.state for name, check in found.items()}
    wrong = {"Prefect objects": "fail", "flow runs": "fail", "workers": "fail", "Prefect leases": "warn"}
    assert {name: state for name, state in states.items() if state != "ok"} == wrong
    assert "limit dvc-writer missing" in found["Prefect objects"].text
    assert found["Prefect objects"].repair() == "limit dvc-writer made"
    assert found["flow runs"].repair() == "1 marked as crashed"
    again = {check.name: check.state for check in prefect_checks(api, place)}
    assert (again["Prefect objects"], again["flow runs"]) == ("ok", "ok")


def test_the_doctor_says_that_pool_or_queue_are_paused(
    made: list[Change], api: PrefectApi, plan: Plan, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plan, "of", classmethod(lambda cls, workspace: plan))
    place = Workspace.create(plan.workspace / "paused")
    client.send_worker_heartbeat("tmu", "w", heartbeat_interval_seconds=60)

    def workers() -> Check:
        return next(check for check in prefect_checks(api, place) if check.name == "workers")

    assert workers().state == "ok"
    client.update_work_pool("tmu", WorkPoolUpdate(is_paused=True))
    assert (workers().state, workers().text) == ("fail", "nothing reaches them: pool tmu is paused")
    client.update_work_pool("tmu", WorkPoolUpdate(is_paused=False))
    for paused in (True, False):
        queue = client.request(
            "PATCH",
            "/work_pools/{work_pool_name}/queues/{name}",
            json={"is_paused": paused},
            path_params={"work_pool_name": "tmu", "name": "critical"},
        )
        queue.raise_for_status()
        assert ("queue critical is paused" in workers().text) is paused
    assert workers().state == "ok"


# the file of this repository; last, because it pauses the deployments of the tests above


def test_the_real_file_is_deployed_and_a_raw_id_is_refused_before_it_is_stored(
    api: PrefectApi, plan: Plan, client: SyncPrefectClient
) -> None:
    real = Plan(workspace=plan.workspace, root=ROOT, gpus=1, zone="UTC")
    assert "failed" not in _done(bootstrap(api, real)).values()
    assert set(_done(bootstrap(api, real)).values()) == {"kept"}
    delete = client.read_deployment_by_name("delete/delete")
    assert delete.work_queue_name == "critical"
    asked = {"request": "case-1", "requested_by": "support-1", "people": ["anna@example.org"]}
    with pytest.raises(PrefectHTTPStatusError, match="409"):
        client.create_flow_run_from_deployment(delete.id, parameters=asked)
    assert [run for run in client.read_flow_runs() if "anna" in str(run.parameters)] == []


def test_the_server_frees_a_slot_whose_holder_is_gone(abandoned: str, client: SyncPrefectClient) -> None:
    """The last one of this file: its lease of a minute runs out while the others run."""
    _until(lambda: client.read_global_concurrency_limit_by_name(abandoned).active_slots == 0, seconds=90)
