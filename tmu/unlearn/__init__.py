"""Unlearning methods: one file each, whose name (with `-` for `_`) is the method's; listing needs no torch."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from tmu.config import AUTO, EXACT_HEAD, Config, Params
from tmu.errors import ConfigError
from tmu.plugins import METHODS, Plugin, plugins

_INTERFACE = ("NEEDS_TWIN", "NEEDS_HOLDOUT", "Options", "unlearn")
_RETRAIN = "retrain"  # serves every kind
_SHARED = {"problem", "choose", "importance", "mixture", "teacher"}


def built_in_methods() -> list[str]:
    """The methods of tmu itself: the files of this folder."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name not in _SHARED)


def method_names() -> list[str]:
    """All methods there are, those of plugins included (`tmu/plugins.py`). Nothing is imported."""
    return sorted([*built_in_methods(), *_plugins()])


def get_method(name: str) -> ModuleType:
    """The method's module: `NEEDS_TWIN`, `NEEDS_HOLDOUT`, `Options` and `unlearn(problem, options) -> Outcome`.

    A method that works with references says so by `NEEDS_REFERENCES`, one of ridge heads by `NEEDS_STATISTICS`. It may
    have `CANDIDATES`: the options that the search on twin problems tries (`bench/tune.py`). `_` and `-` are the same in
    a name. Raises ConfigError for an unknown one, and for a plugin that cannot be used.
    """
    module = method_module(name)
    if module.startswith(f"{__name__}."):
        return importlib.import_module(module)
    return load_plugin(_plugins()[name.replace("_", "-")])


def method_module(name: str) -> str:
    """The dotted name of the method's module, which is not imported. Raises ConfigError for an unknown method."""
    if name == AUTO:
        raise ConfigError(
            "`auto` is chosen when a deletion is planned; a single step needs a method.",
            f"Name one with --method: {', '.join(method_names())}.",
        )
    name = name.replace("_", "-")
    if name in built_in_methods():
        return f"{__name__}.{name.replace('-', '_')}"
    brought = _plugins()
    if name not in brought:
        raise ConfigError(f"There is no method `{name}`.", f"Choose from {', '.join(method_names())}.")
    return brought[name].module


def load_plugin(plugin: Plugin) -> ModuleType:
    """A plugin's module. Raises ConfigError where it cannot be loaded, or is no method."""
    module = plugin.load()
    missing = [part for part in _INTERFACE if not hasattr(module, part)]
    if missing:
        raise plugin.fault(f"`{plugin.module}` has no {' and no '.join(f'`{part}`' for part in missing)}")
    return module


def taken_names() -> list[str]:
    """The names that no plugin can have."""
    return [AUTO, *built_in_methods()]


def _plugins() -> dict[str, Plugin]:
    return plugins(METHODS, taken_names())


def needs_twin(name: str) -> bool:
    """Whether the method works with a twin."""
    return get_method(name).NEEDS_TWIN


def needs_references(name: str) -> bool:
    """Whether the method works with references, and so without passing over D."""
    return getattr(get_method(name), "NEEDS_REFERENCES", False)


def needs_statistics(name: str) -> bool:
    """Whether the method is of models with a ridge head alone, whose statistics it changes."""
    return getattr(get_method(name), "NEEDS_STATISTICS", False)


def refuse_other_head(name: str, params: Params) -> None:
    """Raise ConfigError where a method is not for the kind of model that the parameters describe."""
    if params.ridge_head and name != _RETRAIN and not needs_statistics(name):
        raise ConfigError(
            f"`{name}` trains the whole network, and this model is a frozen one with a ridge head (`train.head`).",
            f"Use `{EXACT_HEAD}`: `unlearn.method: {EXACT_HEAD}` (or `auto`) in params.yaml, or --method.",
        )
    if not params.ridge_head and needs_statistics(name):
        raise ConfigError(
            f"`{name}` needs a model with a ridge head on a frozen network, and this one is trained by SGD.",
            "Set `train.head: ridge` in params.yaml and train again, or use another method.",
        )


def read_options(name: str, options: dict[str, Any]) -> Config:
    """The method's options, checked by its own `Options`; an unknown or bad one is refused by name."""
    return check_options(name, get_method(name).Options, options)


def check_options(name: str, model: type[Config], options: dict[str, Any]) -> Config:
    """Options as `model`. Raises ConfigError that names method, option and what there is."""
    from pydantic import ValidationError

    try:
        return model.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(model.model_fields) or "none"
        raise ConfigError(f"Method `{name}`, option `{where}`: {first['msg']}.", f"Its options: {known}.") from error
