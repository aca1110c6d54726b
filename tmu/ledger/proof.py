"""Proof that the log holds together: with itself, with heads noted earlier, and with the requests' states.

An export is one JSON object a line, `{"seq", "request", "event", "body", "hash"}`; it can be checked without a
database.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tmu import strict_json
from tmu.errors import DataError
from tmu.files import canonical_json, storage_errors
from tmu.ledger.errors import ChainError
from tmu.ledger.log import Head, Link, first_broken
from tmu.ledger.schema import audit_log, requests
from tmu.ledger.store import Ledger

_COMPARE = "Compare with a backup and with the last export; the entries before it are sound."
_FIELDS = ("seq", "request", "event", "body", "hash")


def verify(ledger: Ledger, *anchors: Head) -> Head:
    """Read every entry, and compare with heads noted earlier; returns the head.

    Raises ChainError naming the first broken entry, or a request whose state is not the one that the log gave it last.
    """
    with ledger.read() as connection:
        states: dict[str, str] = {}
        head = check(_remembering(_links(connection), states), *anchors)
        stored = dict(connection.execute(sa.select(requests.c.id, requests.c.state)).tuples().all())
    for request in sorted(states.keys() | stored.keys()):
        if states.get(request) != stored.get(request):
            raise ChainError(
                f"Request {request} is `{stored.get(request)}`, but the log says `{states.get(request)}`.",
                "The state was changed without a log entry, or the log was truncated. Compare with a backup.",
            )
    return head


def check(links: Iterable[Link], *anchors: Head) -> Head:
    """Check entries from wherever they come; returns the head. Raises ChainError naming the first broken one."""
    head, broken = first_broken(links, *anchors)
    if broken:
        raise ChainError(f"Entry {broken.seq} of the audit log {broken.why}.", _COMPARE)
    return head


def export(ledger: Ledger, file: Path) -> Head:
    """Write the whole log to a file of one entry a line, after checking it; whole or not at all."""
    building = file.with_name(f".{file.name}.building")
    with storage_errors(file), ledger.read() as connection:
        try:
            with building.open("wb") as out:
                head = check(_written(_links(connection), out))
            building.replace(file)
        finally:
            building.unlink(missing_ok=True)
    return head


def extract(ledger: Ledger, request: str) -> bytes:
    """The entries of one request, in the form of an export. Each has the digest of its own body; that none is missing
    between them is for the whole log to show. Raises ChainError where a body was changed.
    """
    with ledger.read() as connection:
        links = list(_links(connection, audit_log.c.request_id == request))
    for link in links:
        if hashlib.sha256(link.body.encode()).hexdigest() != link.hash:
            raise ChainError(f"Entry {link.seq} of the audit log was changed.", _COMPARE)
    return b"".join(canonical_json({name: getattr(link, name) for name in _FIELDS}) + b"\n" for link in links)


def read_export(file: Path) -> Iterator[Link]:
    """The entries of an export. Raises DataError for a file of another form."""
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                raw = strict_json.loads(line)
                link = Link(*(raw.pop(name) for name in _FIELDS))
                if raw or not isinstance(link.body, str):
                    raise ValueError
                yield link
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is no export of the audit log.", "Make one with `tmu ledger export`.") from error


def _links(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> Iterator[Link]:
    columns = (audit_log.c.seq, audit_log.c.request_id, audit_log.c.event, audit_log.c.body, audit_log.c.hash)
    wanted = sa.select(*columns).where(*which).order_by(audit_log.c.seq)
    rows = connection.execution_options(yield_per=1000).execute(wanted)
    return (Link(*row) for row in rows)


def _remembering(links: Iterator[Link], states: dict[str, str]) -> Iterator[Link]:
    """The entries as they are; `states` takes the last state that each gives its request."""
    for link in links:
        yield link  # checked by whoever takes it, before what it says is believed
        to = _facts(link).get("to")
        if link.request is not None and to is not None:
            states[link.request] = to


def _facts(link: Link) -> dict[str, Any]:
    return json.loads(link.body)["facts"]


def _written(links: Iterator[Link], out: Any) -> Iterator[Link]:
    for link in links:
        out.write(canonical_json({name: getattr(link, name) for name in _FIELDS}) + b"\n")
        yield link
