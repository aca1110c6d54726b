"""The work pool and its queues: `critical` before `training`, which takes as many runs as there are GPUs."""

from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from infra.bootstrapping.plan import HEARTBEAT, POOL, QUEUES, RESULTS, Change, Plan

_TYPE = "process"


def template(plan: Plan) -> dict[str, Any]:
    """The base job template: Prefect's own, with the folder of the code and what every run needs in its environment.

    Without a working directory each run would start in an empty temporary folder, where the entrypoints are not found.
    """
    made = ProcessWorker.get_default_base_job_template()
    fields = made["variables"]["properties"]
    fields["working_dir"]["default"] = str(plan.root)
    fields["env"]["default"] = {
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
        "PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK": f"local-file-system/{RESULTS}",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # Prefect's default is pickle
    }
    return made


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
