"""What `tmu doctor` says of a Prefect server: objects, schedules, workers, runs; and how it fixes them."""

from collections.abc import Iterator
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.types._datetime import now

from infra.bootstrap import bootstrap
from infra.bootstrapping.plan import POOL, Plan
from infra.bootstrapping.wanted import TAG
from infra.prefect_ops.client import connected
from infra.prefect_ops.zombies import crash, find_zombies
from tmu.check import Check
from tmu.prefect_api import PrefectApi
from tmu.workspace import Workspace

_SOON = timedelta(seconds=120)
"""How long the scheduler may take for a new deployment, and a worker for a run that is due."""
_MEMORY = "prefect.server.concurrency.lease_storage.memory"


def prefect_checks(api: PrefectApi, place: Workspace) -> Iterator[Check]:
    """All of them, for a server that answers."""
    yield _objects(api, place)
    with connected(api, seconds=5, retries=0) as client:
        yield from (_version(client), _leases(client), _schedules(client), _workers(client))
        yield from (_late(client), _zombies(client, api))


def _version(client: SyncPrefectClient) -> Check:
    from prefect import __version__ as ours

    theirs = client.api_version()
    if theirs == ours:
        return Check("Prefect version", "ok", ours)
    hint = "Install the same version on both sides (constraints.txt) and restart the server."
    return Check("Prefect version", "fail", f"the server has {theirs}, this installation has {ours}", hint)


def _leases(client: SyncPrefectClient) -> Check:
    """Where the server keeps its leases: in memory they are lost with it, and the slots stay taken."""
    found = client.request("GET", "/admin/settings").json()
    if found["server"]["concurrency"]["lease_storage"] != _MEMORY:
        return Check("Prefect leases", "ok", "survive a restart of the server")
    hint = "Start the server with PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=…lease_storage.filesystem."
    return Check("Prefect leases", "warn", "are in the server's memory: a restart leaves slots taken", hint)


def _objects(api: PrefectApi, place: Workspace) -> Check:
    """Pool, queues, limits, block, automation and deployments, compared with `prefect.yaml`."""
    name = "Prefect objects"
    plan = Plan.of(place)
    found = bootstrap(api, plan, apply=False)
    wrong = [each for each in found if each.done != "kept"]
    if not wrong:
        return Check(name, "ok", f"{len(found)}, as prefect.yaml says")
    word = {"made": "missing", "changed": "differs", "failed": "wrong"}
    text = "; ".join(f"{each.kind} {each.name} {word[each.done]}{each.text and f' ({each.text})'}" for each in wrong)

    def repair() -> str:
        made = [each for each in bootstrap(api, plan) if each.done in ("made", "changed")]
        return ", ".join(f"{each.kind} {each.name} {each.done}" for each in made) or "nothing to do"

    fixable = any(each.done != "failed" for each in wrong)
    return Check(name, "fail", text, "`python -m infra.bootstrap`", repair if fixable else None)


def _ours(client: SyncPrefectClient) -> list[DeploymentResponse]:
    return client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])))


def _schedules(client: SyncPrefectClient) -> Check:
    """Whether each schedule has planned runs: a server can answer as healthy and make none."""
    deployments = _ours(client)
    scheduled = [each for each in deployments if any(schedule.active for schedule in each.schedules)]
    planned = {run.deployment_id for each in scheduled for run in _planned(client, each)}
    new = now() - _SOON
    without = [each.name for each in scheduled if not each.paused and each.id not in planned and each.updated < new]
    if without:
        hint = "Restart the Prefect server; if that does not help, read its log and compare its packages with the pins."
        return Check("schedules", "fail", f"no run is scheduled for {', '.join(sorted(without))}", hint)
    off = sorted(each.name for each in deployments if each.paused or any(not part.active for part in each.schedules))
    if off:
        return Check("schedules", "warn", f"switched off: {', '.join(off)}", "Resume them on Prefect's page.")
    return Check("schedules", "ok", f"{len(scheduled)} deployments have scheduled runs")


def _planned(client: SyncPrefectClient, deployment: DeploymentResponse) -> list[object]:
    wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    found = client.read_flow_runs(deployment_filter=wanted, flow_run_filter=_in(StateType.SCHEDULED), limit=10)
    return [run for run in found if run.next_scheduled_start_time > now()]


def _in(*types: StateType) -> FlowRunFilter:
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))))


def _workers(client: SyncPrefectClient) -> Check:
    hint = "Start one: `make up`; its log: `make logs`."
    try:
        workers = client.read_workers_for_work_pool(POOL)
    except ObjectNotFound:
        return Check("workers", "fail", f"there is no work pool {POOL}", "`python -m infra.bootstrap`")
    online = [each for each in workers if each.status == WorkerStatus.ONLINE]
    if not online:
        return Check("workers", "fail", f"none is online ({len(workers)} known)", hint)
    ages = [(now() - each.last_heartbeat_time).total_seconds() for each in online]
    if paused := _paused(client):
        return Check("workers", "fail", f"nothing reaches them: {paused} paused", "Resume it on Prefect's page.")
    return Check("workers", "ok", f"{len(online)} online, last heard of {max(ages):.0f} s ago at most")


def _paused(client: SyncPrefectClient) -> str:
    """Pool and queues that somebody paused: a decision, but until it is taken back no deletion and no watch runs."""
    queues = client.request("POST", "/work_pools/{name}/queues/filter", path_params={"name": POOL}, json={}).json()
    names = [f"pool {POOL} is"] if client.read_work_pool(POOL).is_paused else []
    return " and ".join(names + [f"queue {each['name']} is" for each in queues if each["is_paused"]])


def _late(client: SyncPrefectClient) -> Check:
    """Runs that are due and that no worker has taken, but for those that wait for their deployment's limit."""
    found = client.read_flow_runs(flow_run_filter=_in(StateType.SCHEDULED))
    due = [run for run in found if run.next_scheduled_start_time < now() - _SOON]
    late = [run for run in due if run.state_name != "AwaitingConcurrencySlot"]
    if not late:
        return Check("late runs", "ok", "none")
    return Check(
        "late runs", "warn", f"{len(late)}: no worker picks them up", "Check whether the pool or the queue is paused."
    )


def _zombies(client: SyncPrefectClient, api: PrefectApi) -> Check:
    dead = find_zombies(client)
    if not dead:
        return Check("flow runs", "ok", "each running one has a process or sends heartbeats")
    text = "; ".join(f"{each.run.name}: {each.why}" for each in dead)

    def repair() -> str:
        with connected(api) as again:
            return f"{sum(crash(again, each) for each in dead)} marked as crashed"

    return Check("flow runs", "fail", text, "`tmu doctor --fix` marks them as crashed.", repair)
