"""What must be the same on all machines that share work, or its bits are not."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tmu.errors import ConfigError

_PACKAGES = ("torch", "torchvision", "numpy", "safetensors")


@cache
def facts() -> dict[str, str]:
    """Versions of Python and of the packages that compute, and a digest of tmu's own sources."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found | {"tmu": _sources()}


def _sources() -> str:
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def unlike(first: dict[str, str], second: dict[str, str]) -> list[str]:
    """What is not the same, in words."""
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return [f"{name} {second.get(name, 'none')} (elsewhere {first.get(name, 'none')})" for name in names]


def compared(there: dict[str, str]) -> ConfigError | None:
    """The error where this machine is not like the one whose facts these are."""
    found = unlike(there, facts())
    if not found:
        return None
    return ConfigError(
        f"A node of the cluster has {', '.join(found)}.", "Install the same versions on all nodes; docs/compute.md."
    )
