"""What comes back from a worker: a result, an error of ours whole, or what is known of another error."""

import traceback
from dataclasses import dataclass
from typing import Any

from tmu.compute.crew import Ended, Tell, Work
from tmu.errors import TmuError


class CalledOff(Exception):
    """The caller has called the work off."""


class WorkFailed(RuntimeError):
    """An item raised an error that is not one of ours; its text and, as a note, where it was raised in the worker."""


@dataclass(frozen=True)
class Told:
    """Words that an item said of itself."""

    words: tuple[Any, ...]


@dataclass(frozen=True)
class Done:
    """An item's result."""

    value: Any

    def ended(self, ticket: int) -> Ended:
        """For the caller."""
        return Ended(ticket, self.value)


@dataclass(frozen=True)
class Refused:
    """An error of ours: its class takes more than an exception's text to be made again."""

    kind: type[TmuError]
    what: str
    hint: str
    details: tuple[str, ...]

    def ended(self, ticket: int) -> Ended:
        """For the caller, with the error as it was raised."""
        return Ended(ticket, error=self.kind(self.what, self.hint, self.details))


@dataclass(frozen=True)
class Failed:
    """Another error, as text: its class may not exist where the caller is."""

    text: str
    trace: str

    def ended(self, ticket: int) -> Ended:
        """For the caller."""
        error = WorkFailed(self.text)
        error.add_note(f"In the worker:\n{self.trace}")
        return Ended(ticket, error=error)


Outcome = Done | Refused | Failed


def perform(work: Work, item: Any, tell: Tell) -> Outcome:
    """Do an item in a worker. Raises CalledOff where the caller no longer wants it."""
    try:
        return Done(work(item, tell))
    except CalledOff:
        raise
    except Exception as error:
        return failed(error)


def failed(error: Exception) -> Refused | Failed:
    """An error on its way to the caller."""
    if isinstance(error, TmuError):
        return Refused(type(error), error.what, error.hint, error.details)
    return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
