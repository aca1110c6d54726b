"""The audit log as a hash chain: each entry's canonical JSON holds the hash of the entry before it. Pure.

hash_n = SHA-256(body_n), body_n = canonical JSON of {seq, at, actor, method, event, request, reason, facts, previous},
previous_n = hash_(n-1); that of the first entry is GENESIS. So no entry can be changed, taken out, put in or moved
without a later one saying otherwise. Who can write the database can compute all of it anew, or cut off its end: against
that, heads (`SEQ:HASH`) are noted elsewhere (`tmu.heads`), and given to `first_broken` as anchors.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tmu.errors import ConfigError
from tmu.files import canonical_json
from tmu.ledger.actor import Actor

GENESIS = "0" * 64
_HEAD = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True)
class Link:
    """One row of the log. request, event: copies out of the body, for queries; they are checked with it."""

    seq: int
    request: str | None
    event: str
    body: str
    hash: str


@dataclass(frozen=True)
class Head:
    """The last entry of a log: its number (0: an empty log) and hash. As text: `SEQ:HASH`."""

    seq: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read `SEQ:HASH`. Raises ConfigError."""
        match = _HEAD.fullmatch(text.strip())
        if not match:
            raise ConfigError("A head of the log is written SEQ:HASH.", "Copy what `tmu ledger verify` printed.")
        return cls(int(match[1]), match[2])


@dataclass(frozen=True)
class Broken:
    """The first entry that does not hold, and why."""

    seq: int
    why: str


def make_link(
    head: Head, at: datetime, actor: Actor, event: str, request: str | None, reason: str | None, facts: dict[str, Any]
) -> Link:
    """The entry that follows `head`. facts: JSON values without anything that leads to a person."""
    content = {
        "seq": head.seq + 1,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": actor.name,
        "method": actor.method,
        "event": event,
        "request": request,
        "reason": reason,
        "facts": facts,
        "previous": head.hash,
    }
    body = canonical_json(content)
    return Link(head.seq + 1, request, event, body.decode(), hashlib.sha256(body).hexdigest())


def first_broken(links: Iterable[Link], *anchors: Head) -> tuple[Head, Broken | None]:
    """Check entries in the order of their numbers; returns the last sound one and the first broken one, if any.

    anchors: heads noted earlier. They show a cut end, and a log that was computed anew. All of them count, not the
    newest alone: a log that was computed anew gets new heads as it grows.
    """
    noted: dict[int, set[str]] = {}
    for anchor in anchors:
        noted.setdefault(anchor.seq, set()).add(anchor.hash)
    head = Head()
    for link in links:
        why = _fault(head, link) or _off_anchor(link, noted.get(link.seq, set()))
        if why:
            return head, Broken(head.seq + 1, why)
        head = Head(link.seq, link.hash)
    if (longest := max(noted, default=0)) > head.seq:
        return head, Broken(head.seq + 1, f"is missing: the log once had {longest} entries")
    return head, None


def _fault(head: Head, link: Link) -> str | None:
    if link.seq != head.seq + 1:
        return f"is missing: entry {link.seq} comes next"
    if hashlib.sha256(link.body.encode("utf-8", "surrogatepass")).hexdigest() != link.hash:
        return "was changed: its bytes do not give its hash"
    try:
        content = json.loads(link.body)
        told = (content["seq"], content["request"], content["event"])
        previous = content["previous"]
    except (ValueError, KeyError, TypeError):
        return "was forged: it is not an entry"
    if told != (link.seq, link.request, link.event):
        return "was moved or relabelled: it says something else of itself"
    if previous != head.hash:
        return f"does not follow entry {head.seq}: one of the two was changed with its hash"
    return None


def _off_anchor(link: Link, noted: set[str]) -> str | None:
    if noted - {link.hash}:
        return "is not the one whose hash was noted: the log was rewritten"
    return None
