"""Heads of the audit log outside: compare the log with them, note the newest, and see how far each place has got."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field

from tmu.check import Check
from tmu.config import Config
from tmu.errors import StorageError, TmuError
from tmu.heads.noted import Noted
from tmu.heads.own_note import read_own_note
from tmu.heads.place import HeadPlace
from tmu.heads.places import places_of
from tmu.ledger import deliveries, proof
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ChainError
from tmu.ledger.log import Head
from tmu.ledger.outbox import LOG_HEAD, announce_head
from tmu.ledger.place import has_ledger, open_ledger
from tmu.ledger.store import Ledger
from tmu.notify.sender import deliver_to, targets_of
from tmu.workspace import Workspace

SYSTEM = Actor("tmu", "system")
_EMPTY = (
    "it holds no head, though the log has entries. If it is new, run this again after the next batch, or note a first "
    "head with `tmu ledger verify --head SEQ:HASH`; else somebody emptied it."
)
SOON = timedelta(hours=2)
"""How long a head may wait for its place before that is worth a word: the flows send every hour."""


class LogVerified(Config):
    """A log that holds together. head: `SEQ:HASH`.

    compared: the newest head of each place that it was compared with. silent: the places that it could not be compared
    with, with the reason: they could not be asked, or hold no head. notable: whether its head may be noted outside,
    which needs a head from outside that it was compared with, where places are set.
    """

    entries: int
    head: str
    compared: tuple[Noted, ...]
    silent: tuple[str, ...]
    notable: bool = Field(exclude=True)


def verify_log(workspace: Workspace, ledger: Ledger, head: Head | None = None) -> LogVerified:
    """Check the log with all heads that were noted outside and here; with `head` alone where it is given.

    Raises ChainError, also where a place holds a head that is not the log's; DataError where what a place holds is not
    sound.
    """
    if head is not None:
        found = proof.verify(ledger, head)
        return LogVerified(entries=found.seq, head=str(found), compared=(), silent=(), notable=head.seq > 0)
    noted, silent, places = _noted(workspace)
    try:
        found = proof.verify(ledger, *(each.head for each in noted))
    except ChainError as error:
        newest = "; ".join(map(str, _newest(noted)))
        raise ChainError(error.what, f"{error.hint} Compared with {newest}." if newest else error.hint) from error
    compared = _newest(noted)
    outside = {each.place for each in compared} & set(places)
    silent += [f"{name}: {_EMPTY}" for name, empty in places.items() if empty and found.seq]
    return LogVerified(
        entries=found.seq,
        head=str(found),
        compared=tuple(compared),
        silent=tuple(silent),
        notable=bool(outside) or not places,
    )


def note_head(workspace: Workspace, ledger: Ledger) -> list[str]:
    """Note the head of a log that was verified at every place outside, now; the places that did not take it.

    What is not taken stays in the outbox and is tried again.
    """
    places = places_of(workspace)
    with ledger.write(SYSTEM) as tx:
        announce_head(tx, "verification")
    deliver_to(ledger, places)
    with ledger.read() as connection:
        return [each.name for each in places if deliveries.told(connection, each.id, LOG_HEAD).waiting_since]


def noted_outside(workspace: Workspace, ledger: Ledger) -> list[dict[str, Any]]:
    """The newest head that each place took, by the ledger's own records: for a certificate. No place is asked."""
    with ledger.read() as connection:
        told = {place.name: deliveries.told(connection, place.id, LOG_HEAD).newest for place in places_of(workspace)}
    return [
        {"place": name, "head": json.loads(newest[0])["head"], "noted": newest[1].isoformat()}
        for name, newest in told.items()
        if newest is not None
    ]


def check_heads(workspace: Workspace) -> Iterator[Check]:
    """Findings for `tmu doctor`: each place, what it holds, and since when it lags."""
    if not has_ledger(workspace):
        return
    try:
        places, listeners = places_of(workspace), targets_of(workspace.settings)
    except TmuError as error:
        yield Check("heads outside", "fail", error.what, error.hint)
        return
    hooks = {target.id: f"webhook {target.id}" for target in listeners if target.events is None}
    if not places and not hooks:
        yield _nowhere()
        return
    ledger = open_ledger(workspace)
    try:
        for place in places:
            yield from _place(place)
        for id_, name in {**{place.id: place.name for place in places}, **hooks}.items():
            yield _lag(ledger, id_, name)
    finally:
        ledger.close()


def _noted(workspace: Workspace) -> tuple[list[Noted], list[str], dict[str, bool]]:
    """All heads that are noted anywhere, the places that could not be asked, and for each place whether it is empty."""
    own, silent, empty = read_own_note(workspace), [], {}
    noted = [own] if own is not None else []
    for place in places_of(workspace):
        empty[place.name] = False
        try:
            held = place.held()
        except StorageError as error:
            silent.append(f"{place.name}: {error.what}")
            continue
        noted += held
        empty[place.name] = not held
    return noted, silent, empty


def _newest(noted: Sequence[Noted]) -> list[Noted]:
    """The newest of each place."""
    newest: dict[str, Noted] = {}
    for each in noted:
        if each.place not in newest or newest[each.place].seq <= each.seq:
            newest[each.place] = each
    return list(newest.values())


def _nowhere() -> Check:
    text = (
        "the head of the audit log is stored only in this workspace: a truncated or recomputed log would not be noticed"
    )
    return Check("heads outside", "warn", text, "Set `heads_s3`, `timestamp_url` or `webhooks` (docs/ledger.md).")


def _place(place: HeadPlace) -> Iterator[Check]:
    try:
        yield from place.check()
        held = place.held()
    except TmuError as error:
        yield Check(place.name, "fail", error.what, error.hint)
        return
    if held:
        yield Check(place.name, "ok", f"{len(held)} heads, the newest of entry {held[-1].seq}")
    else:
        yield Check(place.name, "warn", "no head yet", "Unless it is new or the ledger empty, somebody emptied it.")


def _lag(ledger: Ledger, target: str, name: str) -> Check:
    with ledger.read() as connection:
        told = deliveries.told(connection, target, LOG_HEAD)
    since = told.waiting_since
    if since is None or (told.error is None and ledger.now() - since < SOON):
        return Check(
            f"{name}: notes", "ok", "it has the newest head" if since is None else "the newest head is under way"
        )
    text = f"it lacks the heads since {since:%Y-%m-%d %H:%M} UTC ({told.error or 'not sent yet'})"
    return Check(
        f"{name}: notes", "warn", text, "It is retried automatically; check the address, and that the flows run."
    )
