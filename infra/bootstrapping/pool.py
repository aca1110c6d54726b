"""The work pool and its queues: `critical` before `training`, which takes as many runs as there are GPUs."""

from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from infra.bootstrapping.plan import HEARTBEAT, POOL, QUEUES, RESULTS, Change, Plan

_TYPE = "process"


def environment() -> dict[str, str]:
    """What every run needs in its environment."""
    return {
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
        "PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK": f"local-file-system/{RESULTS}",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # Prefect's default is pickle
    }


def template(plan: Plan) -> dict[str, Any]:
    """The base job template, without variables: the server refuses job variables of runs and deployments.

    It does not refuse them everywhere (a run without a deployment; a template that somebody changed), so the workers do
    not go by it (`infra/stack/worker_main.py`).
    """
    job = {"command": None, "env": environment(), "working_dir": str(plan.root), "stream_output": True}
    return {"job_configuration": job, "variables": {"type": "object", "properties": {}, "additionalProperties": False}}


def pool(client: SyncPrefectClient, plan: Plan, *, apply: bool) -> Iterator[Change]:
    """The pool. One that was paused stays so: that is a decision of whoever runs the service."""
    wanted = template(plan)
    try:
        found = client.read_work_pool(POOL)
    except ObjectNotFound:
        if apply:
            client.create_work_pool(WorkPoolCreate(name=POOL, type=_TYPE, base_job_template=wanted))
        yield Change("work pool", POOL, "made")
        return
    if found.type != _TYPE:
        yield Change("work pool", POOL, "failed", f"is of type {found.type}: delete it, and run this again")
    elif found.base_job_template != wanted:
        if apply:
            client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=wanted))
        yield Change("work pool", POOL, "changed", "base job template")
    else:
        yield Change("work pool", POOL, "kept")


def queues(client: SyncPrefectClient, plan: Plan, *, apply: bool) -> Iterator[Change]:
    """The queues, in the order of their priority: giving one a place moves those behind it on."""
    try:
        found = {queue.name: queue for queue in client.read_work_queues(work_pool_name=POOL)}
    except ObjectNotFound:
        found = {}
    for place, name in enumerate(QUEUES, start=1):
        wanted = {"priority": place, "concurrency_limit": plan.gpus if name == "training" else None}
        if name not in found:
            if apply:
                client.create_work_queue(name, work_pool_name=POOL, **wanted)
            yield Change("queue", name, "made")
            continue
        differs = [key for key, value in wanted.items() if getattr(found[name], key) != value]
        if differs and apply:
            client.update_work_queue(found[name].id, **wanted)
        yield Change("queue", name, "changed" if differs else "kept", ", ".join(differs))
