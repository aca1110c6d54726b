"""Registry of metrics: each declares name, unit, direction and what it needs to be computed."""

import importlib
import pkgutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from tmu.audit.bootstrap import Value
from tmu.audit.view import Case
from tmu.errors import ConfigError
from tmu.plugins import METRICS, brought, faults, plugins

Better = Literal["lower", "higher", "gold"]
_METRICS: dict[str, "Metric"] = {}


def _always(case: Case) -> bool:
    return True


@dataclass(frozen=True)
class Metric:
    """A number of the audit. `better` is "gold" where the aim is the gold's number, neither more nor less."""

    name: str
    title: str
    unit: str
    better: Better
    needs_gold: bool
    needs_original: bool
    headline: bool
    meaning: str
    compute: Callable[[Case], Value]
    defined: Callable[[Case], bool] = _always
    needs_probes: bool = False

    def possible(self, case: Case) -> bool:
        """Whether the case holds the models that this metric compares with, and its number is defined there."""
        if (self.needs_gold and not case.golds) or (self.needs_original and case.original is None):
            return False
        compared = [case.model, *case.golds, *([case.untouched] if self.needs_original else [])]
        if self.needs_probes and any(view.probed is None for view in compared):
            return False
        return self.defined(case)


def metric(
    name: str,
    *,
    title: str,
    unit: str,
    better: Better,
    meaning: str,
    needs_gold: bool = False,
    needs_original: bool = False,
    headline: bool = False,
    defined: Callable[[Case], bool] = _always,
    needs_probes: bool = False,
) -> Callable[[Callable[[Case], Value]], Callable[[Case], Value]]:
    """Register a function `Case -> Value`. `meaning` is one line for a reader who knows no statistics.

    `defined`: whether the records of a case allow the number at all; where not, the table shows none. `needs_probes`:
    it is computed from what was found inside the models (`tmu/audit/probes/`), not from their outputs.
    Raises ValueError for a name taken twice or a direction other than lower, higher, gold.
    """
    if better not in get_args(Better):
        raise ValueError(f"`{name}`: better is one of {get_args(Better)}, not {better!r}")
    if name in _METRICS:
        raise ValueError(f"the metric `{name}` is registered twice")

    def register(compute: Callable[[Case], Value]) -> Callable[[Case], Value]:
        _METRICS[name] = Metric(
            name, title, unit, better, needs_gold, needs_original, headline, meaning, compute, defined, needs_probes
        )  # fmt: skip
        return compute

    return register


def all_metrics() -> dict[str, Metric]:
    """All metrics by name, in the order of file names and, within a file, of definition; those of plugins come last.

    A plugin that cannot be loaded is left out with a warning; `broken_plugins` says why.
    """
    mine = built_in_metrics()
    for plugin in plugins(METRICS).values():
        try:
            plugin.load_into(_METRICS)
        except ConfigError as error:
            warnings.warn(str(error), stacklevel=2)
    others = (each for each in _METRICS.values() if each.name not in mine)
    return mine | {each.name: each for each in sorted(others, key=_module)}


def broken_plugins() -> dict[str, str]:
    """Why a plugin's metrics are missing, one sentence each, by its name."""
    built_in_metrics()  # first: a plugin cannot take their names
    return faults(METRICS, (), lambda plugin: plugin.load_into(_METRICS))


def metric_modules() -> tuple[str, ...]:
    """The dotted names of the modules that hold the metrics, each once."""
    return tuple(dict.fromkeys(map(_module, all_metrics().values())))


@cache
def built_in_metrics() -> dict[str, Metric]:
    """The metrics of tmu itself by name: every module of this folder is imported once."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    mine = (each for each in _METRICS.values() if not brought(_module(each)))
    return {each.name: each for each in sorted(mine, key=_module)}


def _module(each: Metric) -> str:
    return each.compute.__module__
