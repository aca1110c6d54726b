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

from tmu.closure import closure
from tmu.files import sha256_file
from tmu.plugins import brought_by, root_of

_PACKAGE = Path(__file__).parent
_UNKNOWN = "unknown"
# not entered: they only keep what others compute, or hand over what an identity holds by value or digest
HANDED_OVER = tuple(
    f"tmu.{name}"
    for name in ("compute", "config", "data", "deletion", "errors", "export", "files", "ledger", "manifest", "plugins",
                 "provenance", "refs", "settings", "stores", "suppression", "workspace")
)  # fmt: skip


@cache
def code_digest(*modules: str) -> str:
    """SHA-256 (hex) over the sources that `modules` rest on: what they import within tmu, and so on.

    Of a module that a plugin brings, all files of its package count, and the distribution's name and version. Read once
    a process: files that are changed later are not the code that runs. The order of the names does not matter. Raises
    ValueError for a module that does not exist.
    """
    packages = {module.partition(".")[0] for module in modules} - {"tmu"}
    lines = [f"{name}\0{sha256_file(path)}" for name, path in sources(*modules).items()]
    lines += [f"distribution\0{each}" for package in packages for each in brought_by(package)]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def sources(*modules: str) -> dict[str, Path]:
    """The files that `code_digest` reads, by module; of a plugin's package by path within it."""
    roots = {"tmu": _PACKAGE}
    extra: dict[str, Path] = {}
    starts = list(modules)
    for package in sorted({module.partition(".")[0] for module in modules} - {"tmu"}):
        root = root_of(package)
        if root is None:
            raise ValueError(f"there is no module `{package}`")
        roots[package] = root
        if brought_by(package):
            files = _files(root)
            extra |= {f"{package}/{name}": path for name, path in files.items()}
            starts += [_module(package, name) for name in files if name.endswith(".py")]
    found = closure(starts, roots, HANDED_OVER)
    found.pop("tmu", None)  # it holds the version alone
    return extra | found


def _files(root: Path) -> dict[str, Path]:
    """All files of a plugin's package by their path within it; of a single module that file."""
    if root.is_file():
        return {"": root}
    found = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path for path in found}


def _module(package: str, name: str) -> str:
    """The dotted name of a file of a package."""
    parts = [*Path(name).with_suffix("").parts]
    return ".".join([package, *(parts[:-1] if parts[-1:] == ["__init__"] else parts)])


def git_state(root: Path) -> dict[str, str]:
    """`commit`, `branch` and `dirty` ("true" or "false") of the work tree at `root`; each "unknown" outside git."""
    status = _git(root, "status", "--porcelain=v2", "--branch")
    if status is None:
        return dict.fromkeys(("commit", "branch", "dirty"), _UNKNOWN)
    told = [line.removeprefix("# branch.").partition(" ") for line in status.splitlines() if line.startswith("# ")]
    facts = {name: value for name, _, value in told}
    commit, branch = facts.get("oid", "(initial)"), facts.get("head", _UNKNOWN)
    return {
        "commit": _UNKNOWN if commit == "(initial)" else commit,
        "branch": "HEAD" if branch == "(detached)" else branch,
        "dirty": str(any(not line.startswith("#") for line in status.splitlines())).lower(),
    }


@cache
def lock_digest() -> str:
    """SHA-256 (hex) of `constraints.txt` beside the package, else of the sorted installed distributions."""
    constraints = _PACKAGE.parent / "constraints.txt"
    if constraints.is_file():
        return sha256_file(constraints)
    installed = sorted({f"{item.metadata['Name']}=={item.version}".lower() for item in distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def lock_file() -> Path:
    """Where the lock file with the digests of all packages lies beside a checkout; an installed tmu has none."""
    return _PACKAGE.parent / "requirements.lock"


def hardware() -> dict[str, Any]:
    """What the numbers were computed on; `memory_gib` is the machine's, `cores` those this process may use."""
    import psutil
    import torch

    return {
        "machine": platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
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
