"""The forms of an export by name. A new file of this folder with `NAME`, `FILES`, `USE` and `write` adds one."""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from torch import nn

from tmu.errors import ConfigError
from tmu.models.bundle import Arch


class Form(Protocol):
    """FILES: names that `write` makes. USE: how the model card says that they are read, Python."""

    NAME: str
    FILES: tuple[str, ...]
    USE: str

    def write(self, model: nn.Module, arch: Arch, folder: Path) -> None:
        """Write a model in evaluation mode on the CPU into `folder`. Raises ConfigError where a package is missing,
        ModelError where the model cannot take the form.
        """
        ...


def forms() -> dict[str, Form]:
    """All forms by name."""
    package = importlib.import_module("tmu.export")
    modules = [importlib.import_module(f"tmu.export.{each.name}") for each in pkgutil.iter_modules(package.__path__)]
    return {module.NAME: cast(Form, module) for module in modules if hasattr(module, "write")}


def chosen_forms(names: Sequence[str]) -> list[Form]:
    """The named forms, each once. Raises ConfigError for an unknown name."""
    known = forms()
    for name in names:
        if name not in known:
            raise ConfigError(f"There is no form `{name}`.", f"Known: {', '.join(sorted(known))}.")
    return [known[name] for name in dict.fromkeys(names)]
