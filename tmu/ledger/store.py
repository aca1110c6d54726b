"""`Ledger`: a database opened for transactions, and `Tx`: one of them, with its actor, its time and its log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

import sqlalchemy as sa

from tmu.errors import TmuError
from tmu.files import canonical_json
from tmu.ledger import engine as database
from tmu.ledger import rewrite as rewriting
from tmu.ledger.actor import Actor
from tmu.ledger.log import Head, Link, make_link
from tmu.ledger.schema import audit_log, outbox
from tmu.ledger.upgrade import NEWEST, upgrade, version_of
from tmu.ledger.words import reason_of


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Refused(Exception):
    """Inside a transaction: undo it, put the refusal on record, and raise `error` to the caller."""

    def __init__(self, error: TmuError, event: str, request: str | None = None, **facts: Any) -> None:
        self.error, self.event, self.request, self.facts = error, event, request, facts
        super().__init__(error.what)


@dataclass
class Tx:
    """A writing transaction: who acts, when, and what goes into the log and the outbox when it ends.

    messages: the bodies of what is to be told, still without the log's head.
    """

    connection: sa.Connection
    actor: Actor
    at: datetime
    zone: tzinfo
    _links: list[Link] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def log(self, event: str, request: str | None = None, reason: str | None = None, **facts: Any) -> None:
        """Append an entry. facts: JSON values that lead to nobody (ids of requests, counts, hashes, no keys)."""
        reason = reason_of(reason) if reason is not None else None
        self._links.append(make_link(self.head(), self.at, self.actor, event, request, reason, facts))

    def by(self, actor: Actor) -> "Tx":
        """The same transaction with another actor's name on what it logs: for calls of several that share a commit."""
        return self if actor == self.actor else replace(self, actor=actor)

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Run a statement."""
        return self.connection.execute(statement, parameters)  # type: ignore[return-value]

    def flush(self) -> None:
        """Write the entries and messages that were appended."""
        head = str(self.head()) if self.messages else None
        if self._links:
            self.connection.execute(sa.insert(audit_log), [_row(link) for link in self._links])
            self._links.clear()
        if self.messages:
            self.connection.execute(
                sa.insert(outbox), [_message(body | {"head": head}, self.at) for body in self.messages]
            )
            self.messages.clear()

    def head(self) -> Head:
        """The last entry of the log, with what this transaction has appended so far."""
        if self._links:
            return Head(self._links[-1].seq, self._links[-1].hash)
        return head_of(self.connection)


class Ledger:
    """A ledger's database. zone: in which months are counted. now: the time, for tests that travel.

    engine: the database itself; what is read or written there goes past the ledger and its log.
    """

    def __init__(self, engine: sa.Engine, *, zone: tzinfo = UTC, now: Callable[[], datetime] = utc_now) -> None:
        self.engine, self.zone, self.now = engine, zone, now

    @classmethod
    def open(cls, url: str, *, zone: tzinfo = UTC, now: Callable[[], datetime] = utc_now) -> "Ledger":
        """Open the ledger at a SQLAlchemy address, made or brought to this program's version where needed.

        Raises StorageError (unreachable, damaged, newer than this program), ConfigError (no such kind of database).
        """
        engine = database.connect(url)
        with database.transaction(engine, writes=False) as connection:
            current = version_of(connection) == NEWEST
        if not current:
            with database.transaction(engine, writes=True) as connection:
                upgrade(connection)
        return cls(engine, zone=zone, now=now)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction for looking: one state of the ledger, and nobody waits for it."""
        with database.transaction(self.engine, writes=False) as connection:
            yield connection

    @contextmanager
    def write(self, actor: Actor) -> Iterator[Tx]:
        """A transaction for acting: alone, whole or not at all. On `Refused` only the refusal's entry is written."""
        try:
            with self._alone(actor) as tx:
                yield tx
        except Refused as refused:
            with self._alone(actor) as tx:
                tx.log(refused.event, refused.request, **refused.facts)
            raise refused.error from None

    def rewrite(self) -> None:
        """Rewrite the database's files, so that they hold nothing that was replaced (`rewrite.py`)."""
        rewriting.rewrite(self.engine)

    def beyond(self) -> list[str]:
        """What of the database `rewrite` does not reach, in clauses."""
        return rewriting.beyond(self.engine)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    @contextmanager
    def _alone(self, actor: Actor) -> Iterator[Tx]:
        with database.transaction(self.engine, writes=True) as connection:
            tx = Tx(connection, actor, self.now(), self.zone)
            yield tx
            tx.flush()


def head_of(connection: sa.Connection) -> Head:
    """The last entry of the log."""
    last = sa.select(audit_log.c.seq, audit_log.c.hash).order_by(audit_log.c.seq.desc()).limit(1)
    row = connection.execute(last).first()
    return Head(row.seq, row.hash) if row else Head()


def _row(link: Link) -> dict[str, Any]:
    return {
        "seq": link.seq, "request_id": link.request, "event": link.event, "body": link.body, "hash": link.hash,
    }  # fmt: skip


def _message(body: dict[str, Any], at: datetime) -> dict[str, Any]:
    row = {"id": body["id"], "request_id": body["request"], "event": body["event"]}
    return row | {"body": canonical_json(body).decode(), "created_at": at}
