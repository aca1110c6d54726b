"""Batches: the approved requests of a dataset at one moment, served in one run. One open batch a dataset."""

import secrets
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from tmu.errors import RequestError
from tmu.ledger import entries
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.schema import batches, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger, Tx
from tmu.ledger.transition import Request

ATTEMPTS = 3
"""Executions of a batch before a person must look at it."""
Lane = Literal["normal", "urgent"]


@dataclass(frozen=True)
class Batch:
    """A snapshot. requests: their ids, oldest first."""

    id: str
    dataset: str
    lane: Lane
    requests: list[str]


def take_batch(
    ledger: Ledger, dataset: str, actor: Actor, *, lane: Lane = "normal", most: int | None = None
) -> Batch | None:
    """Take a lane's approved requests, oldest first, at most `most`; None where there are none. Later ones wait.

    Raises ConflictError while another batch of the dataset is open, naming it.
    """
    if most is not None and most < 1:
        raise RequestError("A batch takes at least one request.", "Leave out the limit, or raise it.")
    with ledger.write(actor) as tx:
        other = open_batch(tx.connection, dataset)
        if other:
            raise ConflictError(f"Batch {other} of dataset {dataset} is open.", "One batch at a time: finish it first.")
        chosen = _approved(tx, dataset, lane, most)
        if not chosen:
            return None
        id_ = secrets.token_hex(8)
        row = {"id": id_, "dataset": dataset, "lane": lane, "opened_at": tx.at, "attempts_allowed": ATTEMPTS}
        tx.execute(sa.insert(batches), [row])
        for part in entries.chunks(chosen):
            tx.execute(sa.update(requests).where(requests.c.id.in_(part)).values(batch_id=id_))
        for request in chosen:
            tx.log("batched", request, batch=id_)
        return Batch(id_, dataset, lane, chosen)


def open_batch(connection: sa.Connection, dataset: str) -> str | None:
    """The id of a dataset's open batch: after a crash, what to go on with."""
    wanted = sa.select(batches.c.id).where(batches.c.dataset == dataset, batches.c.closed_at.is_(None))
    return connection.scalar(wanted)


def find_batch(connection: sa.Connection, batch: str) -> sa.Row:
    """A batch. Raises UnknownError."""
    row = connection.execute(sa.select(batches).where(batches.c.id == batch)).first()
    if row is None:
        raise UnknownError("There is no batch of that id.", "`take_batch` returns one.")
    return row


def members(connection: sa.Connection, batch: str) -> list[Request]:
    """The requests of a batch, oldest first."""
    wanted = sa.select(requests).where(requests.c.batch_id == batch)
    return list(connection.execute(wanted.order_by(requests.c.received_at, requests.c.id)))


def close(tx: Tx, batch: str, outcome: str) -> None:
    """Close a batch, so that the next may be taken."""
    tx.execute(sa.update(batches).where(batches.c.id == batch).values(closed_at=tx.at, outcome=outcome))
    tx.log("batch_closed", None, batch=batch, outcome=outcome)


def _approved(tx: Tx, dataset: str, lane: Lane, most: int | None) -> list[str]:
    ready = sa.select(requests.c.id).where(
        requests.c.dataset == dataset, requests.c.state == State.APPROVED, requests.c.lane == lane
    )
    ready = ready.order_by(requests.c.received_at, requests.c.id).limit(most)
    return list(tx.execute(ready).scalars())
