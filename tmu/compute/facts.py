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


def compared(there: dict[str, str]) -> ConfigError | None:
    """The error where this machine is not like the one whose facts these are."""
    here = facts()
    unlike = [
        f"{name} {here.get(name)} (elsewhere {value})" for name, value in there.items() if here.get(name) != value
    ]
    if not unlike:
        return None
    return ConfigError(
        f"A node of the cluster has {', '.join(unlike)}.", "Install the same versions on all nodes; docs/compute.md."
    )
