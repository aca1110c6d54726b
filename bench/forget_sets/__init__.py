"""Forget sets of the benchmark: one file each, whose name (with `-` for `_`) is the kind's name.

A file has `NEEDS_CROSSFIT`, `Options` and `draw(world, options) -> Tensor`, bool (N,); its docstring says what the set
stands for and where it comes from. A new file in this folder is a new kind. Every set is a function of its options,
the world's seed and the records alone; where a kind draws, it ranks hashed record keys, so that the order of the
records does not matter.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from bench.forget_sets.cross_fit import CrossFit, crossfit
from bench.forget_sets.world import ForgetWorld
from tmu.errors import ConfigError, RequestError

__all__ = ["CrossFit", "ForgetWorld", "crossfit", "draw", "kinds", "needs_crossfit", "read_options"]

_SHARED = {"cross-fit", "pick", "world"}
_LEAST = 2  # records: batch norm cannot train on one alone, and a mean over one says nothing


def kinds() -> list[str]:
    """All kinds there are."""
    return sorted({module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)} - _SHARED)


def needs_crossfit(kind: str) -> bool:
    """Whether the kind calls the world's `crossfit`."""
    return _module(kind).NEEDS_CROSSFIT


def read_options(kind: str, options: dict[str, Any]) -> Any:
    """The kind's options, checked by its own `Options`; an unknown or bad one raises ConfigError by name."""
    checker = _module(kind).Options
    try:
        return checker.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(field.alias or name for name, field in checker.model_fields.items()) or "none"
        raise ConfigError(
            f"Forget set `{kind}`, option `{where}`: {first['msg']}.", f"Its options: {known}."
        ) from error


def draw(kind: str, options: dict[str, Any], world: ForgetWorld) -> Tensor:
    """The forget set as a mask over the training records: bool (N,), on the CPU.

    Raises ConfigError for an unknown kind or option and RequestError where the set or what it leaves is too small.
    """
    chosen = read_options(kind, options)
    mask = _module(kind).draw(world, chosen)
    size, n = int(mask.sum()), len(world.train)
    if size < _LEAST:
        raise RequestError(
            f"The forget set `{kind}` holds {size} of {n} records.", f"Choose options that give at least {_LEAST}."
        )
    if n - size < _LEAST:
        raise RequestError(
            f"The forget set `{kind}` leaves {n - size} of {n} records.", f"Leave at least {_LEAST} to train on."
        )
    return mask


def _module(kind: str) -> ModuleType:
    if kind not in kinds():
        raise ConfigError(f"There is no forget set `{kind}`.", f"Choose from {', '.join(kinds())}.")
    return importlib.import_module(f"{__name__}.{kind.replace('-', '_')}")
