"""Intake: a request is on record once this returns, whatever happens next. Idempotent by id and payload.

The same id with the same payload is the same row; with another payload, or from another requester, it is refused. The
payload is compared by its HMAC. Cost: a few indexed look-ups for each request, independent of how many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field, StringConstraints, model_validator

from tmu.config import Config
from tmu.data.keys import Keys
from tmu.files import canonical_json
from tmu.ledger import clock, entries, holds
from tmu.ledger.actor import Actor
from tmu.ledger.entries import Key
from tmu.ledger.errors import ConflictError
from tmu.ledger.schema import request_keys, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger, Tx
from tmu.ledger.transition import enter

MOST_KEYS = 10_000
"""Keys in one request."""

RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
HexKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Many = Annotated[tuple[HexKey, ...], Field(max_length=MOST_KEYS)]


class Intake(Config):
    """What is asked for: HMAC keys only, never a raw id; the id of the request must not lead to a person either."""

    id: RequestId
    dataset: str = Field(min_length=1, max_length=100)
    subjects: Many = ()
    records: Many = ()
    with_copies: bool = Field(False, description="also the records that hold the same pictures")
    copies: Many = Field((), description="these records, as the data were when the request came")
    urgent: bool = Field(False, description="served in the urgent lane, not in the nightly batch")
    identity_verified: bool = Field(True, description="false: the clock is stopped until `verify_identity`")
    source: Literal["cli", "api", "form", "file"] = "api"

    @model_validator(mode="after")
    def _names_something(self) -> "Intake":
        if not self.subjects and not self.records:
            raise ValueError("the request names no person and no record")
        return self

    def keys(self) -> list[Key]:
        """What is named, each once, in ascending order."""
        named = {("subject", key) for key in self.subjects}
        named |= {("record", key) for key in (*self.records, *self.copies)}
        return [(self.dataset, kind, key) for kind, key in sorted(named)]

    def mac(self, keys: Keys) -> str:
        """HMAC (hex) of the payload: what makes two intakes of an id the same. Order, repeats and source do not.

        Nor do the copies that were found: a repeated call may come when they are erased.
        """
        named = self.model_copy(update={"copies": ()}).keys()
        payload = {"dataset": self.dataset, "keys": [key[1:] for key in named]}
        payload |= {"urgent": self.urgent, "identity_verified": self.identity_verified}
        payload |= {"with_copies": True} if self.with_copies else {}  # as it always was for the others
        return keys.payload(canonical_json(payload))


@dataclass(frozen=True)
class Receipt:
    """The answer to an intake. new: false for a repeated one. merged: keys that others had asked for, too."""

    request: str
    state: State
    new: bool
    received_at: datetime
    due: datetime
    paused: bool
    merged: int


@dataclass(frozen=True)
class _Fresh:
    """A request that is not on record yet. tx: the transaction in its caller's name."""

    intake: Intake
    tx: Tx
    row: dict[str, Any]


def receive(ledger: Ledger, keys: Keys, intake: Intake, actor: Actor) -> Receipt:
    """Put a request on record. Raises ConflictError for an id that stands for something else."""
    (answer,) = receive_all(ledger, keys, [intake], actor)
    if isinstance(answer, ConflictError):
        raise answer
    return answer


def receive_all(ledger: Ledger, keys: Keys, intakes: Sequence[Intake], actor: Actor) -> list[Receipt | ConflictError]:
    """Put one caller's many requests on record in one transaction; see `receive_together`."""
    return receive_together(ledger, keys, [(intake, actor) for intake in intakes])


def receive_together(
    ledger: Ledger, keys: Keys, asked: Sequence[tuple[Intake, Actor]]
) -> list[Receipt | ConflictError]:
    """Put requests of several callers on record in one transaction, so that they share its wait for the disk.

    The answers are in order; a conflict is returned in its place and does not touch the others. Of two calls with one
    id the first makes the row, and the second is answered as if it had come later.
    """
    if not asked:
        return []
    macs = [intake.mac(keys) for intake, _ in asked]
    with ledger.write(asked[0][1]) as tx:
        known = _known(tx, [intake.id for intake, _ in asked])
        fresh: dict[str, _Fresh] = {}
        for (intake, actor), mac in zip(asked, macs, strict=True):
            if intake.id not in known and intake.id not in fresh:
                theirs = tx.by(actor)
                fresh[intake.id] = _Fresh(intake, theirs, _row(theirs, intake, mac) | {"key_id": keys.id})
        merged = _store(tx, fresh)
        rows = known | {id_: each.row for id_, each in fresh.items()}
        seen, answers = set(known), []
        for (intake, actor), mac in zip(asked, macs, strict=True):
            merges = merged.get(intake.id, 0)
            answers.append(_answer(tx.by(actor), rows[intake.id], mac, keys.id, intake.id not in seen, merges))
            seen.add(intake.id)
    return answers


def _known(tx: Tx, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in entries.chunks(sorted(set(ids))):
        rows = tx.execute(sa.select(requests).where(requests.c.id.in_(part)))
        found |= {row.id: row._asdict() for row in rows}
    return found


def _row(tx: Tx, intake: Intake, mac: str) -> dict[str, Any]:
    verified = intake.identity_verified
    return {
        "id": intake.id,
        "dataset": intake.dataset,
        "state": State.RECEIVED,
        "state_since": tx.at,
        "lane": "urgent" if intake.urgent else "normal",
        "source": intake.source,
        "requester": tx.actor.name,
        "payload_mac": mac,
        "received_at": tx.at,
        "identity_verified_at": tx.at if verified else None,
        "paused_since": None if verified else tx.at,
        "paused_seconds": 0,
        "extended_at": None,
    }


def _store(tx: Tx, fresh: dict[str, _Fresh]) -> dict[str, int]:
    """Insert new requests with keys and receipts; a hold is looked at only then, so that its receipt is on record."""
    if not fresh:
        return {}
    asked = {id_: each.intake.keys() for id_, each in fresh.items()}
    held = holds.held_among(tx, [(id_, each.intake.dataset, each.intake.subjects) for id_, each in fresh.items()])
    for id_, each in fresh.items():
        path = [State.RECEIVED, State.QUEUED if each.row["identity_verified_at"] else State.UNVERIFIED]
        path += [State.HELD] if id_ in held else []
        facts = {"keys": len(asked[id_]), "lane": each.row["lane"], "source": each.row["source"]}
        each.row["state"] = enter(each.tx, id_, path, **facts)
    tx.execute(sa.insert(requests), [each.row for each in fresh.values()])
    named = [
        {"request_id": id_, "kind": kind, "key": key, "named": True}
        for id_, keys in asked.items()
        for _, kind, key in keys
    ]
    tx.execute(sa.insert(request_keys), named)
    return entries.receive(tx, asked)


def _answer(tx: Tx, row: dict[str, Any], mac: str, key_id: str, new: bool, merged: int) -> Receipt | ConflictError:
    if row.get("shredded_at") is not None:
        return ConflictError(
            f"Request {row['id']} has ended, and the keys that it named were destroyed: nothing can be compared.",
            "Choose a new id for another request.",
        )
    if row["payload_mac"] != mac and row.get("key_id") not in (None, key_id):
        return ConflictError(
            f"Request {row['id']} was recorded under a former secret: nothing can be compared.",
            "Choose a new id for another request.",
        )
    if row["payload_mac"] != mac or row["requester"] != tx.actor.name:
        return ConflictError(
            f"The id {row['id']} is already recorded with other content.",
            "Repeat a request with the very same content, or choose a new id for another one.",
        )
    started = clock.Clock(
        row["received_at"], row["paused_seconds"], row["paused_since"], row["extended_at"] is not None
    )
    due = clock.due(started, tx.at, tx.zone)
    return Receipt(row["id"], State(row["state"]), new, row["received_at"], due, bool(row["paused_since"]), merged)
