"""Deletions on the started servers: where the time goes beside the computing, and what a batch of many costs.

The compute of a deletion is the seconds of the tasks that train, fit, unlearn and audit; all else is overhead: waiting
for the worker, starting a process, stores, ledger, purge, searches, certificate, Prefect.
"""

import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmu.data.records import SPLITS
from tmu.ledger import approvals
from tmu.ledger.actor import Actor
from tmu.ledger.intake import Intake, receive_all
from tmu.ledger.place import opened
from tmu.steps.ledger.batch import dataset_of
from tmu.steps.ledger.bind_plans import plan_requests
from tmu.steps.loading import data_ref, open_store
from tmu.steps.store_keys import keys_of
from tmu.workspace import Workspace

CLERK, APPROVER = Actor("clerk", "token"), Actor("approver", "token")
COMPUTE = (
    "train-original", "train-gold", "fit-references", "fit-twin", "unlearn", "audit", "audit-by-references",
)  # fmt: skip
_GROUPS = {
    "check-stores": "looking at stores and data",
    "look-at-data": "looking at stores and data",
    "erase-data": "erasing and DVC",
    "erase-references": "rows of the references",
    "drop-references": "rows of the references",
    "register": "registering in MLflow",
    "promote": "cut-over",
    "tidy": "tidying",
    "plan-purge": "purge",
    "act-purge": "purge",
    "check-purge": "purge",
    "scrub-purge": "purge",
    "verify-deletion": "looking again",
    "inventory-deletion": "independent search",
    "search-deletion": "independent search",
    "keep-evidence": "evidence and certificate",
    "issue-certificate": "evidence and certificate",
    "seal-evidence": "evidence and certificate",
    "tell-consumers": "evidence and certificate",
}
_DEPLOYMENT = "nightly-batch/nightly-batch"


@dataclass(frozen=True)
class Deletion:
    """One run. wall: from its creation to its end. compute: seconds of the heavy tasks. items: seconds by name."""

    requests: int
    wall: float
    compute: float
    items: dict[str, float]


def train_original(home: Path) -> None:
    """The model in service of a new workspace."""
    command = [sys.executable, "-c", "from tmu.cli import main; main()", "--home", str(home)]
    subprocess.run([*command, "train", "original", "--register"], check=True, capture_output=True)


def ask(home: Path, requests: int, method: str) -> None:
    """So many approved requests, one record of the training split each."""
    workspace = Workspace.open(home)
    store = open_store(workspace, data_ref(workspace))
    index = store.index()
    rows = (index.splits == SPLITS.index("train")).nonzero()[0]
    keys = index.keys_at(rows)[::2][:requests]
    batch, dataset = secrets.token_hex(4), dataset_of(workspace)
    intakes = [Intake(id=f"{batch}-{n:05d}", dataset=dataset, records=(key,)) for n, key in enumerate(keys)]
    ids = [intake.id for intake in intakes]
    with opened(workspace) as ledger:
        receive_all(ledger, keys_of(workspace, store.info), intakes, CLERK)
        for request, bound in plan_requests(workspace, ledger, ids, CLERK, method).items():
            approvals.approve(ledger, request, bound.hash, APPROVER)


def delete(requests: int) -> Deletion:
    """Serve what is approved through the deployment, and say where the time went."""
    from prefect.deployments import run_deployment

    run = run_deployment(_DEPLOYMENT, timeout=1800, poll_interval=0.5, as_subflow=False)
    if not run.state.is_completed():
        raise RuntimeError(f"the run ended as {run.state.name}: {run.state.message}")
    wall = (run.end_time - run.created).total_seconds()
    items = _items(run, wall)
    return Deletion(requests, wall, items["compute"], items)


def _items(run: Any, wall: float) -> dict[str, float]:
    """Seconds by name; together the wall time."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with get_client(sync_client=True) as client:
        mine = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        tasks = sorted(client.read_task_runs(flow_run_filter=mine, limit=200), key=lambda task: task.start_time)
        states = {state.name: state.timestamp for state in reversed(client.read_flow_run_states(run.id))}
    took = {task.id: (task.end_time - task.start_time).total_seconds() for task in tasks}
    heavy = sum(took[task.id] for task in tasks if _stage(task) in COMPUTE)
    light: dict[str, float] = {}
    for task in tasks:
        if _stage(task) not in COMPUTE:
            group = _GROUPS.get(_stage(task), "ledger")
            light[group] = light.get(group, 0.0) + took[task.id]
    items = {
        "until the worker takes it": (states["Pending"] - run.created).total_seconds(),
        "process and imports": (run.start_time - states["Pending"]).total_seconds(),
        "before the first task": (tasks[0].start_time - run.start_time).total_seconds(),
        "compute": heavy,
        **light,
    }
    return items | {"between tasks and at the end": wall - sum(items.values())}


def _stage(task: Any) -> str:
    """The name of a task run without the suffix that Prefect adds."""
    return task.name.rsplit("-", 1)[0]


def wait_for_worker(seconds: float = 60.0) -> None:
    """Until a first run was served, so that what is measured has a warm worker."""
    from prefect.deployments import run_deployment

    until = time.monotonic() + seconds
    run = run_deployment(_DEPLOYMENT, timeout=seconds, poll_interval=0.5, as_subflow=False)
    if not run.state.is_completed() or time.monotonic() > until:
        raise RuntimeError("no worker served an empty batch in time")
