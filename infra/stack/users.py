"""Who runs PostgreSQL: it refuses to run as root, so root hands it to Debian's user postgres."""

import os
import pwd
from pathlib import Path

from tmu.errors import ConfigError

POSTGRES = "postgres"


def postgres_user() -> str | None:
    """The user to switch to; None: the one we are. Raises ConfigError where root has nobody to switch to."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(POSTGRES)
    except KeyError as error:
        raise ConfigError("There is no user `postgres`.", "Install Debian's package postgresql.") from error
    return POSTGRES


def own(path: Path) -> None:
    """Hand a file or folder to the user that runs PostgreSQL."""
    if user := postgres_user():
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def postgres_may_enter(path: Path) -> bool:
    """Whether anybody may pass through every folder above `path` that exists already (or is ours to make)."""
    existing = [parent for parent in path.parents if parent.exists()]
    return all(parent.stat().st_mode & 0o001 for parent in existing)
