"""Programs that are not Python packages: where PostgreSQL and Ceph are installed, and how ours call them."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tmu.errors import ConfigError, StorageError

_POSTGRES = Path("/usr/lib/postgresql")
_CEPH = ("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool")


def postgres(data: Path) -> Path:
    """The folder of PostgreSQL's programs, of the version that made `data`. Raises ConfigError if it is not here."""
    version = data / "PG_VERSION"
    wanted = version.read_text().strip() if version.exists() else None
    installed = sorted((path.parent for path in _POSTGRES.glob("*/bin/postgres")), key=_version, reverse=True)
    if not installed and (found := shutil.which("postgres")):
        installed = [Path(found).resolve().parent]
    for folder in installed:
        if wanted in (None, folder.parent.name) or folder.parent.parent != _POSTGRES:
            return folder
    if wanted:
        raise ConfigError(f"PostgreSQL {wanted} made {data}, and is not installed.", f"Install postgresql-{wanted}.")
    raise ConfigError(
        "PostgreSQL is not installed.", "As root: apt-get install postgresql (or `infra/install.sh`); then `make up`."
    )


def _version(folder: Path) -> float:
    return float(re.sub(r"[^0-9.]", "", folder.parent.name) or 0)


def has_ceph() -> bool:
    """Whether every program that the Ceph store needs is here."""
    return not missing_ceph()


def missing_ceph() -> list[str]:
    """The programs of Ceph that are not here."""
    return [name for name in _CEPH if not shutil.which(name)]


def call(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None, seconds: int = 60
) -> str:
    """Run a program to its end; its output. Raises StorageError with its last line. No secret may be an argument."""
    as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
    try:
        done = subprocess.run(
            command, env=env, cwd="/", capture_output=True, text=True, timeout=seconds, check=False, **as_user
        )
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"`{Path(command[0]).name}` did not end in {seconds} s.", "Run `make up` again.") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise StorageError(f"`{Path(command[0]).name}` failed: {lines[-1]}.", "Fix that, then run `make up` again.")
    return done.stdout
