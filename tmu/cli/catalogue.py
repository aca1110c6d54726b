"""What there is to choose from: methods, metrics, readers and architectures, of tmu itself and of plugins."""

import ast
import inspect
from collections.abc import Callable, Collection
from pathlib import Path

from tmu.config import Config
from tmu.plugins import METHODS, METRICS, MODELS, READERS, Plugin, claims, faults, plugins

BUILT_IN = "built in"
_GROUPS = {"methods": METHODS, "metrics": METRICS, "readers": READERS, "models": MODELS}
KINDS = tuple(_GROUPS)


class Entry(Config):
    """One thing by name. source: `built in`, or name and version of a distribution. error: why it cannot be used."""

    name: str
    summary: str
    source: str = BUILT_IN
    error: str | None = None


def entries(kind: str) -> list[Entry]:
    """All entries of a kind (see `KINDS`): those of tmu by name, then those of plugins."""
    return {"methods": _methods, "metrics": _metrics, "readers": _readers, "models": _models}[kind]()


def broken() -> list[Entry]:
    """The plugins that cannot be used. A kind that has none is not looked at: that would import all of tmu's own."""
    return [each for kind, group in _GROUPS.items() if claims(group) for each in entries(kind) if each.error]


def _methods() -> list[Entry]:
    from tmu import unlearn

    folder = Path(unlearn.__file__).parent
    mine = {name: _first_line(folder / f"{name.replace('-', '_')}.py") for name in unlearn.built_in_methods()}
    return [*_built_in(mine), *_of_plugins(METHODS, unlearn.taken_names(), unlearn.load_plugin)]


def _readers() -> list[Entry]:
    from tmu.data import readers

    mine = readers.built_in_readers()
    summaries = {name: _summary(inspect.getmodule(cls)) for name, cls in mine.items()}
    return [*_built_in(summaries), *_of_plugins(READERS, mine, readers.load_plugin)]


def _models() -> list[Entry]:
    from tmu.models import registry

    mine = registry.built_in_architectures()
    summaries = {f"{name}<name>" if name.endswith("/") else name: _summary(mine[name]) for name in sorted(mine)}
    return [*_built_in(summaries), *_of_plugins(MODELS, mine, registry.load_plugin)]


def _metrics() -> list[Entry]:
    """One entry a metric: a plugin may bring several, and has an entry of its own only where it cannot be used."""
    from tmu.audit.metrics import all_metrics
    from tmu.audit.metrics.registry import broken_plugins

    wrong = broken_plugins()
    sources = {each.module: each.distribution for name, each in plugins(METRICS).items() if name not in wrong}
    found = [
        Entry(name=each.name, summary=each.meaning, source=sources.get(each.compute.__module__, BUILT_IN))
        for each in all_metrics().values()
    ]
    return found + _faulty(METRICS, wrong)


def _built_in(summaries: dict[str, str]) -> list[Entry]:
    return [Entry(name=name, summary=summary) for name, summary in summaries.items()]


def _of_plugins(group: str, taken: Collection[str], load: Callable[[Plugin], object]) -> list[Entry]:
    wrong = faults(group, taken, load)
    good = {name: each for name, each in plugins(group, taken).items() if name not in wrong}
    found = [Entry(name=name, summary=_summary(load(each)), source=each.distribution) for name, each in good.items()]
    return found + _faulty(group, wrong)


def _faulty(group: str, wrong: dict[str, str]) -> list[Entry]:
    claimed = claims(group)
    sources = {name: ", ".join(sorted(each.distribution for each in claimed[name])) for name in wrong}
    return [Entry(name=name, summary="", source=sources[name], error=why) for name, why in wrong.items()]


def _summary(thing: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _first_line(path: Path) -> str:
    """The first line of a module's docstring, without importing the module."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
