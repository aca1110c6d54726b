"""The workspace of the matrix: the embedded digits with quick parameters, on a disk of its own that can be filled.

That disk (a tmpfs, which needs root) holds data, DVC's cache, artifacts, the journal and Prefect's results. What the
servers store lies elsewhere: a full disk is that of the workspace.
"""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from tmu.config import Params
from tmu.steps.import_data import import_data
from tmu.workspace import Workspace

QUICK = {
    "train": {"epochs": 4},
    "twin": {"train": {"epochs": 4, "batch_size": 64, "lr": 0.05}, "curriculum_nets": 1, "predictor_epochs": 40},
    "audit": {"bootstrap": 100, "golds": True, "probes": False},
}
_LAYOUT = {"holdout": 0.35, "test": 0.35}
_FILL = ".chaos-fill"


@contextlib.contextmanager
def disk(home: Path, size: str = "1500m") -> Iterator[str | None]:
    """A disk of limited size at `home`; yields why there is none, or None."""
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(home)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        yield (done.stderr.strip() or "mount failed") if done.returncode else None
    finally:
        if not done.returncode:
            subprocess.run(["umount", "--lazy", str(home)], check=True)


def make(home: Path, servers_state: Path) -> None:
    """A new workspace at `home` whose stack keeps its state at `servers_state`."""
    (home / ".tmu").mkdir(mode=0o700, parents=True)
    servers_state.mkdir(mode=0o700, parents=True)
    (home / ".tmu" / "stack").symlink_to(servers_state)
    workspace = Workspace.create(home)
    params = Params.model_validate(QUICK).model_dump(mode="json")
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    import_data(Workspace.open(workspace.root), "digits", {}, **_LAYOUT)


def fill(home: Path) -> int:
    """Write a file until the disk is full; its bytes."""
    written = 0
    with open(home / _FILL, "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(_FullError):
                while True:
                    written += _write(file.fileno(), bytes(size))
    return written


def free(home: Path) -> None:
    """Remove that file."""
    (home / _FILL).unlink(missing_ok=True)


class _FullError(Exception):
    """Nothing more goes onto the disk."""


def _write(file: int, data: bytes) -> int:
    try:
        return os.write(file, data)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _FullError from error
