"""Group commit: intakes that arrive at once go on record in one transaction, and each caller waits for that commit.

Every commit waits for the disk, some milliseconds, and writers take turns. So single intakes are collected: for a
moment after the first one, and for as long as the commit before takes. Cost: that moment, for a caller who is alone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock, Thread

from tmu.data.keys import Keys
from tmu.errors import TmuError
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError
from tmu.ledger.intake import Intake, Receipt, receive_together
from tmu.ledger.store import Ledger

_MOST = 200
"""Intakes in one transaction."""
_MOST_KEYS = 20_000
"""Keys in one transaction, unless a single intake names more."""

Answer = Receipt | ConflictError
_Waiting = tuple[Intake, Actor, "Future[Answer]"]


class Together:
    """Collects intakes of all callers. seconds: how long the first of a group waits for others.

    One thread commits, and it is there only while somebody waits: nothing has to be started or closed.
    """

    def __init__(self, ledger: Ledger, keys: Keys, seconds: float) -> None:
        self._ledger, self._keys, self._seconds = ledger, keys, seconds
        self._waiting: deque[_Waiting] = deque()
        self._lock, self._busy = Lock(), False

    async def receive(self, intake: Intake, actor: Actor) -> Receipt:
        """Put a request on record; returns once that is certain. Raises ConflictError and StorageError."""
        answer = await asyncio.wrap_future(self.submit(intake, actor))
        if isinstance(answer, ConflictError):
            raise answer
        return answer

    def submit(self, intake: Intake, actor: Actor) -> "Future[Answer]":
        """The same without waiting; a conflict is the future's result. A cancelled one is left out."""
        future: Future[Answer] = Future()
        with self._lock:
            if not self._busy:
                Thread(target=self._work, name="intake").start()
            self._busy = True
            self._waiting.append((intake, actor, future))
        return future

    def _work(self) -> None:
        time.sleep(self._seconds)
        while group := self._next():
            self._commit(group)

    def _next(self) -> list[_Waiting]:
        """Those who wait, oldest first, as many as fit; empty: nobody does, and the next one starts the work anew."""
        group, keys = [], 0
        with self._lock:
            while self._waiting and len(group) < _MOST:
                intake, _, future = self._waiting[0]
                keys += len(intake.subjects) + len(intake.records)
                if group and keys > _MOST_KEYS:
                    break
                one = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    group.append(one)
            self._busy = bool(group)
        return group

    def _commit(self, group: Sequence[_Waiting]) -> None:
        """One transaction. What the ledger refuses, it refuses to all; a fault is looked for and stays with the one."""
        try:
            answers = receive_together(self._ledger, self._keys, [(intake, actor) for intake, actor, _ in group])
        except TmuError as error:
            for _, _, future in group:
                future.set_exception(error)
        except Exception as error:
            if len(group) == 1:
                group[0][2].set_exception(error)
                return
            for one in group:
                self._commit([one])
        else:
            for (_, _, future), answer in zip(group, answers, strict=True):
                future.set_result(answer)
