"""What a target is to the sender: a name that gives no address away, and an answer that holds no more than a kind."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

from tmu.ledger.deliveries import Message


@dataclass(frozen=True)
class Answer:
    """How an attempt ended. error: its kind, None if the message arrived.

    final: another attempt is of no use. down: the target's fault rather than this message's.
    """

    error: str | None = None
    final: bool = False
    down: bool = False


ARRIVED = Answer()


class Target(Protocol):
    """Somebody who is told; open within a `with` block.

    events: what it is told of; None: of everything. patience: how long a message is tried after its first failure;
    None: for ever.
    """

    id: str
    events: Collection[str] | None
    patience: timedelta | None

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, message: Message, at: int) -> Answer:
        """Try once; never raises for what the other side does. at: Unix time in seconds."""
        ...


class AlwaysOpen:
    """A target that has nothing to open: its `with` block does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


def name_of(address: str) -> str:
    """8 hex digits that stand for an address in the ledger and the log; too few to find a secret in it by trying."""
    return hashlib.sha256(address.encode()).hexdigest()[:8]
