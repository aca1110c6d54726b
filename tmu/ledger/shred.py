"""Destroy what leads from a request to a person: its keys, digests and MACs give way to salted commitments.

The salt is never stored. The audit log holds no keys, so that its chain stays whole; it gets an entry that says how
many keys were destroyed and what is left of each plan.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tmu.files import canonical_json
from tmu.ledger.entries import chunks
from tmu.ledger.plans import SALT
from tmu.ledger.schema import forget_entries, holds, plans, receipts, request_keys, requests
from tmu.ledger.states import ENDED, WAITING
from tmu.ledger.store import Tx
from tmu.ledger.transition import find
from tmu.shredder import Shredder

SHREDDED = "keys_shredded"
"""The log's event."""


@dataclass(frozen=True)
class Leads:
    """What in the ledger leads to the people of a purge, by id.

    served: requests that the deletion served, and those that wait for nothing else. named: other requests that have
    ended. open_requests: other requests, which still need their keys. released: holds that are over; holds: in force.
    """

    served: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    open_requests: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


def leads(connection: sa.Connection, served: Collection[str], keys: Collection[str]) -> Leads:
    """What leads to the people of `keys`; served: ids of the requests of the deletion."""
    naming = _naming(connection, keys)
    rows = {row.id: row for part in chunks({*served, *naming}) for row in _rows(connection, part)}
    mine = {id_ for id_, row in rows.items() if id_ in served or _waits_for_nothing(connection, row)}
    ended = {id_ for id_, row in rows.items() if id_ not in mine and row.state in ENDED}
    released, live = _holds(connection, keys)
    return Leads(
        served=tuple(sorted(id_ for id_ in mine if rows[id_].shredded_at is None or id_ in naming)),
        named=tuple(sorted(ended)),
        open_requests=tuple(sorted(set(rows) - mine - ended)),
        released=released,
        holds=live,
    )


def shred(tx: Tx, request: str, keys: Collection[str] | None = None) -> int:
    """Destroy the keys of a request, or those of `keys` alone; returns how many. Again changes nothing.

    Raises UnknownError.
    """
    row, shredder = find(tx.connection, request), Shredder()
    if row.shredded_at is not None and keys is None:
        return 0  # what stands there are commitments
    named, entry_ids = _named(tx, request, keys), _entries(tx, request, keys)
    if row.shredded_at is not None and not named and not entry_ids:
        return 0
    for key in named:
        mine = sa.and_(request_keys.c.request_id == request, request_keys.c.key == key)
        tx.execute(sa.update(request_keys).where(mine).values(key=shredder.key(key)))
    for id_, key in entry_ids.items():
        tx.execute(sa.update(forget_entries).where(forget_entries.c.id == id_).values(key=shredder.key(key)))
        reopened = sa.and_(forget_entries.c.id == id_, forget_entries.c.state == "open")
        tx.execute(sa.update(forget_entries).where(reopened).values(state="forgotten", closed_at=tx.at))
    left = _redact(tx, request, shredder)
    values = {"payload_mac": shredder.key(row.payload_mac), "shredded_at": tx.at, "rewritten_at": None}
    tx.execute(sa.update(requests).where(requests.c.id == request).values(**values))
    tx.log(SHREDDED, request, keys=len(named), entries=len(entry_ids), plans=left)
    return len(named)


def shred_hold(tx: Tx, hold: str) -> None:
    """Destroy the key that a released hold names. A hold in force stays as it is."""
    over = sa.and_(holds.c.id == hold, holds.c.released_at.is_not(None), holds.c.subject.is_not(None))
    key = tx.execute(sa.select(holds.c.subject).where(over)).scalar()
    if key is not None:
        tx.execute(sa.update(holds).where(over).values(subject=Shredder().key(key)))
        tx.log(SHREDDED, None, hold=hold, plans={})


def to_rewrite(connection: sa.Connection) -> list[str]:
    """Requests whose keys were destroyed in the tables, but perhaps not in the database's files."""
    wanted = sa.select(requests.c.id).where(requests.c.shredded_at.is_not(None), requests.c.rewritten_at.is_(None))
    return list(connection.scalars(wanted.order_by(requests.c.id)))


def rewritten(tx: Tx, ids: Iterable[str]) -> None:
    """Note that the files hold no old bytes of these requests any more."""
    for part in chunks(ids):
        tx.execute(sa.update(requests).where(requests.c.id.in_(part)).values(rewritten_at=tx.at))


def known_keys(connection: sa.Connection) -> set[str]:
    """All keys and commitments that stand in the tables."""
    columns = (request_keys.c.key, forget_entries.c.key, holds.c.subject)
    return {key for column in columns for key in connection.scalars(sa.select(column).distinct()) if key}


def _naming(connection: sa.Connection, keys: Collection[str]) -> set[str]:
    """Requests that name one of the keys, or have a receipt on an entry of it that is not open."""
    found: set[str] = set()
    spent = sa.select(receipts.c.request_id).join(forget_entries, forget_entries.c.id == receipts.c.entry_id)
    for part in chunks(keys):
        found.update(connection.scalars(sa.select(request_keys.c.request_id).where(request_keys.c.key.in_(part))))
        mine = sa.and_(forget_entries.c.key.in_(part), forget_entries.c.state != "open")
        found.update(connection.scalars(spent.where(mine)))
    return found


def _rows(connection: sa.Connection, ids: list[str]) -> Iterable[sa.Row[Any]]:
    return connection.execute(sa.select(requests).where(requests.c.id.in_(ids)))


def _waits_for_nothing(connection: sa.Connection, row: sa.Row[Any]) -> bool:
    """Whether all that a waiting request names is taken by a batch: it ends as a duplicate when that is completed."""
    if row.state not in WAITING or row.batch_id is not None:
        return False
    states = sa.select(forget_entries.c.state).join(receipts, receipts.c.entry_id == forget_entries.c.id)
    found = set(connection.scalars(states.where(receipts.c.request_id == row.id)))
    return bool(found) and found <= {"taken", "forgotten"}


def _holds(connection: sa.Connection, keys: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    released, live = [], []
    for part in chunks(keys):
        for row in connection.execute(sa.select(holds).where(holds.c.subject.in_(part))):
            (live if row.released_at is None else released).append(row.id)
    return tuple(sorted(released)), tuple(sorted(live))


def _named(tx: Tx, request: str, keys: Collection[str] | None) -> list[str]:
    found = tx.execute(sa.select(request_keys.c.key).where(request_keys.c.request_id == request).distinct())
    return [key for key in found.scalars() if keys is None or key in keys]


def _entries(tx: Tx, request: str, keys: Collection[str] | None) -> dict[str, str]:
    """Key by id of the entries that a request has a receipt on and that nobody waits for any more.

    One that is open is among them where a backup of the ledger was restored, from before the request was served, and no
    other request with keys has a receipt on it.
    """
    mine = sa.select(receipts.c.entry_id).where(receipts.c.request_id == request)
    others = sa.and_(requests.c.id != request, requests.c.shredded_at.is_(None))
    waits = sa.exists().where(
        receipts.c.entry_id == forget_entries.c.id,
        receipts.c.withdrawn_at.is_(None),
        receipts.c.request_id.in_(sa.select(requests.c.id).where(others)),
    )
    which = sa.and_(forget_entries.c.id.in_(mine), sa.or_(forget_entries.c.state != "open", ~waits))
    rows = tx.execute(sa.select(forget_entries.c.id, forget_entries.c.key).where(which))
    return {row.id: row.key for row in rows if keys is None or row.key in keys}


def _redact(tx: Tx, request: str, shredder: Shredder) -> dict[str, str]:
    """Take from the plans what is computed from keys, and the salt; SHA-256 of what is left by each plan's hash."""
    rows = tx.execute(sa.select(plans).where(plans.c.request_id == request, plans.c.redacted.is_(None))).all()
    left: dict[str, str] = {}
    for row in rows:
        body = {name: part for name, part in json.loads(row.body).items() if name not in ("id", SALT)}
        if body.get("records_digest"):
            body["records_digest"] = shredder.key(body["records_digest"])
        text = canonical_json(body)
        left[row.hash] = hashlib.sha256(text).hexdigest()
        changed = sa.update(plans).where(plans.c.id == row.id)
        tx.execute(changed.values(body=text.decode(), redacted=left[row.hash]))
    return left
