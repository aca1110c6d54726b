"""A batch of the ledger as the flows see it: taken, begun, moved on, ended. Every call may be repeated.

What was approved is checked against the data as they are now before anything is taken: a request whose plan has changed
in what was approved leaves for a new approval. From `begin` on the batch can only be finished.
"""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa

from tmu.config import Config
from tmu.data.info import read_info
from tmu.deletion.journal import Journal
from tmu.errors import RequestError
from tmu.ledger import batches, evidence, executions, voiding
from tmu.ledger.actor import SYSTEM
from tmu.ledger.batches import Lane
from tmu.ledger.executions import Attempt
from tmu.ledger.place import opened
from tmu.ledger.schema import batches as batches_table
from tmu.ledger.schema import requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find, move
from tmu.steps.ledger.guard_data import refuse_returned
from tmu.workspace import Workspace

MOST = 1_000
"""Requests in one batch."""
Outcome = Literal["completed", "failed", "interrupted"]


class Work(Config):
    """One attempt at a batch. token: fences what it publishes. requests: ids, oldest first."""

    batch: str
    token: int
    requests: tuple[str, ...]


class Waiting(Config):
    """An open batch and its last attempt (None before the first): whose it is, and how many may follow."""

    batch: str
    lane: Lane
    run: str | None
    ended: str | None
    left: int


def dataset_of(workspace: Workspace) -> str:
    """The dataset that the workspace holds."""
    return read_info(workspace.data).dataset


def open_work(workspace: Workspace) -> Waiting | None:
    """The dataset's open batch, if there is one."""
    with opened(workspace) as ledger, ledger.read() as connection:
        batch = batches.open_batch(connection, dataset_of(workspace))
        if batch is None:
            return None
        last = executions.last_attempt(connection, batch) or Attempt(0, None, None, batches.ATTEMPTS)
        lane = connection.scalar(sa.select(batches_table.c.lane).where(batches_table.c.id == batch))
        return Waiting(batch=batch, lane=lane, run=last.run, ended=last.ended, left=last.left)


def approved(workspace: Workspace, lane: Lane) -> list[str]:
    """The approved requests of a lane, oldest first."""
    with opened(workspace) as ledger:
        return _approved(ledger, dataset_of(workspace), lane)


def take_work(workspace: Workspace, lane: Lane, run: str | None = None) -> Work | None:
    """Begin an attempt at the open batch, else at a new one of the lane's approved requests; None where there are none.

    run: the orchestrator's id of the caller. Raises ConflictError after the last attempt that is allowed, RequestError
    while another deletion is unfinished: then nothing new is begun, and what is approved stays so.
    """
    dataset = dataset_of(workspace)
    with opened(workspace) as ledger:
        with ledger.read() as connection:
            batch = batches.open_batch(connection, dataset)
        if batch is None:
            waiting = _approved(ledger, dataset, lane)
            if waiting:
                Journal(workspace).refuse_a_second()
                refuse_returned(workspace)
            _renew(workspace, ledger, waiting)
            taken = batches.take_batch(ledger, dataset, SYSTEM, lane=lane, most=MOST)
            batch = taken and taken.id
        begun = batch and executions.begin(ledger, batch, SYSTEM, run=run)
    return Work(batch=begun.batch, token=begun.token, requests=tuple(begun.requests)) if begun else None


def reach(workspace: Workspace, work: Work, state: State) -> None:
    """Record that the batch has come to a state. Raises ConflictError where another attempt took over."""
    with opened(workspace) as ledger:
        executions.advance(ledger, work.token, state, SYSTEM)


def prove(workspace: Workspace, work: Work, kind: str, uri: str, digest: str) -> None:
    """Attach a reference to evidence to every request of the batch."""
    with opened(workspace) as ledger:
        evidence.attach_all(ledger, work.requests, kind, uri, digest, SYSTEM)


def finish(workspace: Workspace, work: Work, outcome: Outcome, reason: str | None = None) -> None:
    """End the attempt, and MLflow's run of the batch if it completed; see `executions.finish`."""
    deletion = Journal(workspace).of_batch(work.batch)
    if outcome == "completed" and deletion and deletion.run:
        workspace.registry.close(deletion.run)
    with opened(workspace) as ledger:
        executions.finish(ledger, work.token, outcome, SYSTEM, reason)


def stand_back(workspace: Workspace, work: Work) -> list[str]:
    """End an attempt that a legal hold met before anything was erased; see `executions.stand_back`.

    Raises RequestError where the data say that erasing had begun.
    """
    from tmu.steps.resume import take_back  # torch: not for those who only look at the ledger

    deletion = Journal(workspace).of_batch(work.batch)
    if deletion:
        take_back(workspace, deletion)
        if deletion.run:
            workspace.registry.close(deletion.run, "KILLED")
    with opened(workspace) as ledger:
        return executions.stand_back(ledger, work.token, SYSTEM)


def _approved(ledger: Ledger, dataset: str, lane: Lane) -> list[str]:
    ready = sa.select(requests.c.id).where(
        requests.c.dataset == dataset, requests.c.lane == lane, requests.c.state == State.APPROVED
    )
    with ledger.read() as connection:
        return list(connection.scalars(ready.order_by(requests.c.received_at, requests.c.id).limit(MOST)))


def _renew(workspace: Workspace, ledger: Ledger, waiting: Sequence[str]) -> None:
    """Plan approved requests on the data as they are now: what changed in what was approved loses its approval."""
    from tmu.steps.ledger.bind_plans import plan_requests  # torch: not for those who only look at the ledger

    for request, answer in plan_requests(workspace, ledger, waiting, SYSTEM, renew=True).items():
        if isinstance(answer, RequestError):
            _set_back(ledger, request)


def _set_back(ledger: Ledger, request: str) -> None:
    with ledger.write(SYSTEM) as tx:
        row = find(tx.connection, request)
        if row.state == State.APPROVED:
            voiding.void(tx, request)
            reason = "it cannot be planned on the data as they are now"
            move(tx, row, State.PLANNED, event="left_out", reason=reason, plan_hash=None)
