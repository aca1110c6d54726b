"""The interface of all backends: a crew takes items and says which of them ended, and how.

An item is small: settings, numbers, paths. Records, weights and tables stay in files that the worker reads and writes.
`str(item)` names it in errors. Where an item is computed makes no difference to its bits: each worker has the same
number of threads.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from tmu.errors import StorageError

Tell = Callable[..., None]  # what an item says of itself while it runs
Work = Callable[[Any, Tell], Any]  # (item, tell) → result; a function of a module, so that a worker finds it by name

TRIES = 3  # an item whose worker is lost is begun again, but not for ever
_POLL = 0.2  # seconds between two looks at the crew


@dataclass(frozen=True)
class Resources:
    """What one item takes. threads: of a processor. gpus: share of one device, 0 < gpus <= 1; 0 where it needs none."""

    threads: int = 1
    gpus: float = 0.0


@dataclass(frozen=True)
class Ended:
    """An item that ended: by its result, or by the error that it raised or that its lost worker is."""

    ticket: int
    result: Any = None
    error: Exception | None = None


@dataclass
class Sent:
    """An item on its way. tries: workers of it that were lost."""

    ticket: int
    item: Any
    tries: int = 0

    def given_up(self) -> Ended | None:
        """One more worker was lost: how the item ends, if it is not to be begun again."""
        self.tries += 1
        if self.tries < TRIES:
            return None
        error = StorageError(
            f"The worker of {self.item} ended before its time, {TRIES} times.",
            "Often memory ran out: set `compute_workers` lower. Run the same command again: what is finished is kept.",
        )
        return Ended(self.ticket, error=error)


class Crew(Protocol):
    """Workers, as long as the `with` lasts that they were called for. Used by one thread."""

    @property
    def places(self) -> int:
        """How many items run at once."""
        ...

    def submit(self, item: Any) -> int:
        """Have an item done; its ticket. Items are begun in the order in which they come."""
        ...

    def ended(self, seconds: float) -> list[Ended]:
        """What ended since the last call; waits so long for something to happen. News are passed on from here."""
        ...


class Backend(Protocol):
    """Where a crew comes from."""

    def crew(
        self, work: Work, resources: Resources, most: int, said: Tell | None = None
    ) -> AbstractContextManager[Crew]:
        """Workers for at most so many items at once. `said` is called in the thread that asks what ended.

        A crew that is left while items run calls them off: they stop at the next thing that they tell. Raises
        ConfigError where the backend can carry no such item.
        """
        ...


def side_by_side(
    backend: Backend, work: Work, items: Sequence[Any], resources: Resources, said: Tell | None = None
) -> list[Any]:
    """`work(item, tell)` for every item; what each returned, in the order of the items.

    Where an item fails, or this call is interrupted, no further one is begun, the others are called off, and the first
    error is raised. StorageError where the worker of an item was lost again and again.
    """
    if not items:
        return []
    results: dict[int, Any] = {}
    with backend.crew(work, resources, len(items), said) as crew:
        tickets = [crew.submit(item) for item in items]
        while len(results) < len(items):
            for each in crew.ended(_POLL):
                if each.error is not None:
                    raise each.error
                results[each.ticket] = each.result
    return [results[ticket] for ticket in tickets]


def silent(*_: Any) -> None:
    """For a caller who does not want to hear anything."""
