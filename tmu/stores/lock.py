"""One writer at a time on this machine: a lock file that the operating system frees even after kill -9."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tmu.files import storage_errors


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock at `path` (made if absent), waiting for whoever holds it. Not re-entrant.

    Without `wait`, yields False at once where somebody else holds it.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")
    with file:  # outside of the block above: a refusal inside it must not be translated here
        yield _taken(file.fileno(), wait)


def _taken(handle: int, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
