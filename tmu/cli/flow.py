"""Composite verbs live above this package; they are found by the name of their entry point."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from tmu.errors import ConfigError

GROUP = "tmu.flows"


def load(name: str) -> Callable[..., dict[str, Any]]:
    """The flow of a composite verb. Raises ConfigError where the installation lacks it."""
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        raise ConfigError(f"The flow `{name}` is not installed.", "Install tmu from its repository: `make setup`.")
    return found[0].load()
