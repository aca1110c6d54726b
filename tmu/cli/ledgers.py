"""The ledger of this call's workspace: made, looked at, or expected to be there; closed at the end of the block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tmu.cli.place import workspace
from tmu.errors import StorageError

if TYPE_CHECKING:
    from tmu.ledger.store import Ledger


@contextmanager
def made() -> Iterator["Ledger"]:
    """The ledger, made where there is none yet."""
    from tmu.ledger.place import open_ledger

    ledger = open_ledger(workspace())
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def looking() -> Iterator["Ledger | None"]:
    """The ledger if there is one: looking does not make it."""
    from tmu.ledger.place import has_ledger

    if has_ledger(workspace()):
        with made() as ledger:
            yield ledger
    else:
        yield None


@contextmanager
def existing() -> Iterator["Ledger"]:
    """The ledger, which must be there. Raises StorageError."""
    with looking() as ledger:
        if ledger is None:
            raise StorageError(
                "There is no ledger in this workspace.",
                "If it had one, restore .tmu/ledger.db; `tmu request receive` makes the first entry.",
            )
        yield ledger
