"""One writer at a time on this machine: a lock file that the operating system frees even after kill -9."""

import contextlib
import fcntl
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
        file = open(path, "a")  # noqa: SIM115 - closed below; a refusal inside the block must not be translated here
    with file:
        yield _taken(file.fileno(), wait)


def _taken(handle: int, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
