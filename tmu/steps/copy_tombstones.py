"""A copy of the tombstones beside the heads of the audit log, where a restored backup does not reach.

The bucket of setting `heads_s3` takes one object for each state of the file, locked as heads are. It holds marks alone;
their secret stays apart.
"""

from datetime import UTC, datetime

from tmu.config import Config
from tmu.errors import ConfigError, StorageError
from tmu.heads.places import s3_heads
from tmu.suppression.tombstones import Tombstone, Tombstones, tombstones_in
from tmu.workspace import Workspace


class Copied(Config):
    """lines: of the copy. place: where it is. error: the kind of the failure; None where it arrived."""

    lines: int
    place: str
    error: str | None = None


def copy_tombstones(workspace: Workspace) -> Copied | None:
    """Store a copy; the same file once. None where no bucket is named, or nothing was erased yet.

    A bucket that is away does not undo a deletion: the next one copies what is missing. Raises DataError for a file
    that was changed.
    """
    place, tombstones = s3_heads(workspace), Tombstones.of(workspace)
    lines = len(tombstones.all())
    if place is None or not lines:
        return None
    answer = place.keep_copy(tombstones.path.read_bytes(), lines, datetime.now(UTC))
    return Copied(lines=lines, place=place.name, error=answer.error)


def copied_tombstones(workspace: Workspace) -> list[Tombstone]:
    """The lines of the longest copy. Raises ConfigError where no bucket is named, StorageError without a copy."""
    place = s3_heads(workspace)
    if place is None:
        raise ConfigError("The setting `heads_s3` names no bucket.", "Set it, or name a file with --tombstones FILE.")
    text = place.longest_copy()
    if text is None:
        raise StorageError(f"{place.name} has no copy of the tombstones.", "Name a file with --tombstones FILE.")
    return tombstones_in(text, f"the copy in {place.name}")
