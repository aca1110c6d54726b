"""Forget entries: one key to be forgotten in one dataset, however many requests ask for it, with a receipt for each.

open → taken (its data are being erased) → forgotten; or withdrawn, when nobody asks for it any more; or open again,
where a legal hold came before the erasing. There is at most one open entry of a key and dataset; who asks after it was
taken gets a new one, because data may have come in since.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from tmu.ledger.schema import forget_entries, receipts, requests
from tmu.ledger.states import OPEN, WAITING, State
from tmu.ledger.store import Tx
from tmu.ledger.transition import Request, find, move

Key = tuple[str, str, str]
"""Dataset, kind (`subject` or `record`), key."""
_AT_ANOTHER = "all that it names was forgotten at another request"
_CHUNK = 400
"""Values in one IN list."""


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """The values in lists that fit into one statement."""
    rest = iter(values)
    while part := list(islice(rest, _CHUNK)):
        yield part


def receive(tx: Tx, asked: dict[str, list[Key]]) -> dict[str, int]:
    """Give each request a receipt on the entry of each of its keys, made where there is none open.

    asked: keys by new request. Returns how many of its entries each request found there already.
    """
    known = _open_entries(tx, {key for keys in asked.values() for key in keys})
    merged, entries, given = dict.fromkeys(asked, 0), [], []
    for request, keys in asked.items():
        for key in keys:
            if key in known:
                merged[request] += 1
            else:
                known[key] = secrets.token_hex(16)
                entries.append(_entry(known[key], key, tx.at))
            given.append({"entry_id": known[key], "request_id": request, "given_at": tx.at})
    if entries:
        tx.execute(sa.insert(forget_entries), entries)
    if given:
        tx.execute(sa.insert(receipts), given)
    return merged


def withdraw(tx: Tx, request: str) -> None:
    """Take back a request's receipts; entries that nobody else asks for are withdrawn."""
    mine = sa.and_(receipts.c.request_id == request, receipts.c.withdrawn_at.is_(None))
    ids = sa.select(receipts.c.entry_id).where(receipts.c.request_id == request)
    tx.execute(sa.update(receipts).where(mine).values(withdrawn_at=tx.at))
    asked = sa.exists().where(receipts.c.entry_id == forget_entries.c.id, receipts.c.withdrawn_at.is_(None))
    alone = sa.and_(forget_entries.c.id.in_(ids), forget_entries.c.state == "open", ~asked)
    tx.execute(sa.update(forget_entries).where(alone).values(state="withdrawn", closed_at=tx.at))


def take(tx: Tx, batch: str) -> None:
    """Close the open entries of a batch's requests to others: their data are about to be erased."""
    mine = forget_entries.c.id.in_(_of_batch(batch))
    open_ = sa.and_(mine, forget_entries.c.state == "open")
    tx.execute(sa.update(forget_entries).where(open_).values(state="taken"))


def give_back(tx: Tx, batch: str) -> None:
    """Open the entries of a batch that was not carried out, but where somebody opened a new one meanwhile."""
    other = forget_entries.alias()
    again = sa.exists().where(
        other.c.dataset == forget_entries.c.dataset,
        other.c.kind == forget_entries.c.kind,
        other.c.key == forget_entries.c.key,
        other.c.state == "open",
    )
    taken = sa.and_(forget_entries.c.id.in_(_of_batch(batch)), forget_entries.c.state == "taken", ~again)
    tx.execute(sa.update(forget_entries).where(taken).values(state="open"))


def forget(tx: Tx, batch: str) -> None:
    """Mark a completed batch's entries as forgotten, and close what other requests wait for nothing else as duplicate.

    Such a request asked for the same keys before the batch took them.
    """
    mine = forget_entries.c.id.in_(_of_batch(batch))
    done = sa.and_(mine, forget_entries.c.state == "taken")
    tx.execute(sa.update(forget_entries).where(done).values(state="forgotten", closed_at=tx.at))
    for request in _waiting_on(tx, batch):
        close_if_forgotten(tx, find(tx.connection, request))


def close_if_forgotten(tx: Tx, row: Request, reason: str = _AT_ANOTHER) -> bool:
    """Close a request as `duplicate` if all that it asks for was forgotten, as a rule at another's request."""
    wanted = sa.select(forget_entries.c.state).join(receipts, receipts.c.entry_id == forget_entries.c.id)
    states = set(tx.execute(wanted.where(receipts.c.request_id == row.id)).scalars())
    if states != {"forgotten"}:
        return False
    move(tx, row, State.DUPLICATE, reason=reason)
    return True


def forgotten_keys(connection: sa.Connection, dataset: str) -> tuple[list[str], list[str]]:
    """Subject keys and record keys whose deletion was completed, each once, ascending."""
    wanted = sa.select(forget_entries.c.kind, forget_entries.c.key).distinct()
    wanted = wanted.where(forget_entries.c.dataset == dataset, forget_entries.c.state == "forgotten")
    found: dict[str, list[str]] = {"subject": [], "record": []}
    for kind, key in connection.execute(wanted.order_by(forget_entries.c.key)):
        found[kind].append(key)
    return found["subject"], found["record"]


def still_open(connection: sa.Connection, dataset: str) -> int:
    """How many requests for a dataset have not ended."""
    wanted = sa.select(sa.func.count()).select_from(requests)
    return connection.scalar(wanted.where(requests.c.dataset == dataset, requests.c.state.in_(OPEN))) or 0


def _open_entries(tx: Tx, keys: set[Key]) -> dict[Key, str]:
    table, found = forget_entries.c, {}
    for dataset, kind in {(key[0], key[1]) for key in keys}:
        of_kind = sorted(key[2] for key in keys if key[:2] == (dataset, kind))
        for part in chunks(of_kind):
            wanted = sa.select(table.id, table.key).where(
                table.dataset == dataset, table.kind == kind, table.state == "open", table.key.in_(part)
            )
            found |= {(dataset, kind, row.key): row.id for row in tx.execute(wanted)}
    return found


def _entry(entry: str, key: Key, at: datetime) -> dict[str, Any]:
    dataset, kind, digits = key
    return {"id": entry, "dataset": dataset, "kind": kind, "key": digits, "state": "open", "opened_at": at}


def _of_batch(batch: str) -> Any:
    """The entries on which the requests of a batch have live receipts."""
    of_batch = sa.select(requests.c.id).where(requests.c.batch_id == batch)
    return sa.select(receipts.c.entry_id).where(receipts.c.request_id.in_(of_batch), receipts.c.withdrawn_at.is_(None))


def _waiting_on(tx: Tx, batch: str) -> Sequence[str]:
    """Waiting requests outside the batch that have receipts on its entries, oldest first."""
    wanted = (
        sa.select(requests.c.id)
        .join(receipts, receipts.c.request_id == requests.c.id)
        .where(receipts.c.entry_id.in_(_of_batch(batch)), requests.c.state.in_(WAITING))
        .where(requests.c.batch_id.is_(None))
        .group_by(requests.c.id, requests.c.received_at)
        .order_by(requests.c.received_at, requests.c.id)
    )
    return tx.execute(wanted).scalars().all()
