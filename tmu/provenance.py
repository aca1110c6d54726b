"""Where a result came from: code, commit, installed packages, hardware, time. No host name, no user name."""

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tmu.files import sha256_file

_PACKAGE = Path(__file__).parent
_UNKNOWN = "unknown"


def code_digest(*rooms: str) -> str:
    """SHA-256 (hex) over the sources of sub-packages or modules of `tmu`, such as `code_digest("train", "models")`.

    The order of the names does not matter. Raises `ValueError` for a room that does not exist.
    """
    total = hashlib.sha256()
    for path in sorted({path for room in rooms for path in _sources(room)}):
        total.update(f"{path.relative_to(_PACKAGE).as_posix()}\0{sha256_file(path)}\n".encode())
    return total.hexdigest()


def git_state(root: Path) -> dict[str, str]:
    """`commit`, `branch` and `dirty` ("true" or "false") of the work tree at `root`; each "unknown" outside git."""
    status = _git(root, "status", "--porcelain")
    return {
        "commit": _git(root, "rev-parse", "HEAD") or _UNKNOWN,
        "branch": _git(root, "rev-parse", "--abbrev-ref", "HEAD") or _UNKNOWN,
        "dirty": _UNKNOWN if status is None else str(bool(status)).lower(),
    }


@cache
def lock_digest() -> str:
    """SHA-256 (hex) of `constraints.txt` beside the package, else of the sorted installed distributions."""
    constraints = _PACKAGE.parent / "constraints.txt"
    if constraints.is_file():
        return sha256_file(constraints)
    installed = sorted({f"{item.metadata['Name']}=={item.version}".lower() for item in distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def hardware() -> dict[str, Any]:
    """What the numbers were computed on; `memory_gib` is the machine's, `cores` those this process may use."""
    import psutil
    import torch

    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sources(room: str) -> list[Path]:
    folder, module = _PACKAGE / room, _PACKAGE / f"{room}.py"
    found = [module] if module.is_file() else sorted(folder.rglob("*.py"))
    if not found:
        raise ValueError(f"tmu has no room `{room}`")
    return found


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """The processor's name: Linux tells it only in /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or _UNKNOWN
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or _UNKNOWN
