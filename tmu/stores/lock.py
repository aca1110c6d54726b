"""One writer at a time on this machine: a lock file that the operating system frees even after kill -9."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tmu.files import storage_errors


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path` (made if absent), waiting for whoever holds it. Not re-entrant."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")
    with file:  # outside of the block above: a refusal inside it must not be translated here
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
