"""One writer at a time on this machine: a lock file that the operating system frees even after kill -9."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from tmu.files import storage_errors


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path` (made if absent), waiting for whoever holds it. Not re-entrant."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a")  # noqa: SIM115 - closed below; a refusal inside the block must not be translated here
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
