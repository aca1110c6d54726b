"""What a place outside is: a target that is told heads, never given up, and that can be asked what it holds."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from tmu.check import Check
from tmu.heads.noted import Noted
from tmu.ledger.deliveries import Message
from tmu.ledger.log import Head
from tmu.ledger.outbox import LOG_HEAD
from tmu.notify.target import AlwaysOpen, Answer


class HeadPlace(AlwaysOpen, ABC):
    """A place outside the workspace. id: as in `Target`. name: for people."""

    events: ClassVar[Collection[str]] = frozenset({LOG_HEAD})
    patience: ClassVar[timedelta | None] = None
    id: str
    name: str

    def send(self, message: Message, at: int) -> Answer:
        """Note the head that a message carries. A head that is there already has arrived."""
        body = json.loads(message.body)
        return self.note(Head.parse(body["head"]), datetime.fromisoformat(body["at"]))

    @abstractmethod
    def note(self, head: Head, at: datetime) -> Answer:
        """Note a head; never raises for what the place does. at: when it was the log's head."""

    @abstractmethod
    def held(self) -> Sequence[Noted]:
        """All heads that the place holds, ascending.

        Raises StorageError where it cannot be asked, DataError where what it holds is not sound.
        """

    def check(self) -> list[Check]:
        """What of its setting-up is not as it should be, for `tmu doctor`. Raises as `held` does."""
        return []


def head_name(head: Head) -> str:
    """A head as a file name; the order of names is the order of entries."""
    return f"{head.seq:018d}-{head.hash}"


def head_of_name(name: str) -> Head | None:
    """The head of such a name; None for any other."""
    seq, _, digest = name.partition("-")
    if len(seq) != 18 or not (seq.isascii() and seq.isdigit()):
        return None
    head = Head(int(seq), digest)
    return head if len(digest) == 64 and set(digest) <= set("0123456789abcdef") else None
