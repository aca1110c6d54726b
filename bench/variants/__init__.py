"""Methods that only the bench knows: a product's method with one of its parts left out or replaced, one file each.

They are found like the product's (`tmu/unlearn/`), by the name of their file, and have the same interface. A suite's
row names one with `method:`.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from tmu import unlearn
from tmu.config import Config


def variant_names() -> list[str]:
    """All variants there are."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def get_method(name: str) -> ModuleType:
    """The variant, else the product's method of that name. Raises ConfigError for an unknown one."""
    if name in variant_names():
        return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return unlearn.get_method(name)


def needs_twin(name: str) -> bool:
    """Whether the method works with a twin."""
    return get_method(name).NEEDS_TWIN


def needs_references(name: str) -> bool:
    """Whether the method works with the references' outputs."""
    return getattr(get_method(name), "NEEDS_REFERENCES", False)


def needs_lessons(name: str) -> bool:
    """Whether the method works with the twin that is fitted on the references, too."""
    return needs_references(name) and getattr(get_method(name), "NEEDS_LESSONS", True)


def read_options(name: str, options: dict[str, Any]) -> Config:
    """The method's options, checked; an unknown or bad one is refused by name."""
    return unlearn.check_options(name, get_method(name).Options, options)
