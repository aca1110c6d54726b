"""Items one after the other, right here in the calling process."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tmu.compute.crew import Ended, Resources, Tell, Work, silent


class Here:
    """The backend for work that is not worth a process."""

    @contextmanager
    def crew(self, work: Work, resources: Resources, most: int, said: Tell | None = None) -> Iterator["HereCrew"]:
        """The calling thread."""
        yield HereCrew(work, said or silent)


class HereCrew:
    """Does an item whenever it is asked what ended."""

    places = 1

    def __init__(self, work: Work, said: Tell) -> None:
        self._work, self._said, self._waiting, self._tickets = work, said, deque[tuple[int, Any]](), 0

    def submit(self, item: Any) -> int:
        """Keep it until the caller waits."""
        self._waiting.append((self._tickets, item))
        self._tickets += 1
        return self._waiting[-1][0]

    def ended(self, seconds: float) -> list[Ended]:
        """Do the next one."""
        if not self._waiting:
            return []
        ticket, item = self._waiting.popleft()
        try:
            return [Ended(ticket, self._work(item, self._said))]
        except Exception as error:
            return [Ended(ticket, error=error)]
