"""Unlearning methods: one file each, whose name (with `-` for `_`) is the method's; listing needs no torch."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from tmu.config import AUTO
from tmu.errors import ConfigError

_SHARED = {"problem", "choose", "concentrate", "importance", "level", "mixture", "teacher"}


def method_names() -> list[str]:
    """All methods there are."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name not in _SHARED)


def get_method(name: str) -> ModuleType:
    """The method's module: `NEEDS_TWIN`, `NEEDS_HOLDOUT`, `Options` and `unlearn(problem, options) -> Outcome`.

    `_` and `-` are the same in a name. Raises ConfigError for an unknown one.
    """
    if name == AUTO:
        raise ConfigError(
            "`auto` is chosen when a deletion is planned; a single step needs a method.",
            f"Name one with --method: {', '.join(method_names())}.",
        )
    if name.replace("_", "-") not in method_names():
        raise ConfigError(f"There is no method `{name}`.", f"Choose from {', '.join(method_names())}.")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def needs_twin(name: str) -> bool:
    """Whether the method works with a twin."""
    return get_method(name).NEEDS_TWIN


def read_options(name: str, options: dict[str, Any]) -> Any:
    """The method's options, checked by its own `Options`; an unknown or bad one is refused by name."""
    from pydantic import ValidationError

    try:
        return get_method(name).Options.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(get_method(name).Options.model_fields) or "none"
        raise ConfigError(f"Method `{name}`, option `{where}`: {first['msg']}.", f"Its options: {known}.") from error
