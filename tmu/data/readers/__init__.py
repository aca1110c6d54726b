"""Readers of datasets, by name. A new file in this folder that decorates a class with `@reader("name")` is found."""

import contextlib
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar

from pydantic import ValidationError

from tmu.config import Config
from tmu.data.info import SplitRule
from tmu.data.records import Record
from tmu.errors import ConfigError
from tmu.plugins import READERS, Plugin, brought, plugins

_READERS: dict[str, type["Reader"]] = {}


class Reader(ABC):
    """A dataset as a stream of records.

    `simulated`: no record is about a person who could ask for deletion, so that the public demonstration secret
    will do. `split_rule`: where neither the source nor the user says how to split.
    """

    name: ClassVar[str]
    simulated: ClassVar[bool]
    split_rule: ClassVar[SplitRule] = SplitRule()
    Options: ClassVar[type[Config]]

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def classes(self) -> list[str]:
        """Class names; a record's label is a position in this list."""

    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """The records in a fixed order, one at a time."""

    def count(self) -> int | None:
        """How many records there will be, where that is known beforehand."""
        return None

    def where(self, position: int) -> str:
        """Where the user finds a record, by its position in `records`: such as a line of the CSV."""
        return f"Record {position}"

    def left_out(self) -> Counter[str]:
        """What lay in the source and was not taken, by kind."""
        return Counter()

    def converted(self) -> Counter[str]:
        """How many records were changed on the way, by kind; known when `records` has ended."""
        return Counter()

    def sizes(self) -> Counter[tuple[int, int]]:
        """How many pictures have which (width, height), where the source has sizes of its own."""
        return Counter()

    def __iter__(self) -> Iterator[Record]:
        return self.records()


def reader(name: str) -> Callable[[type[Reader]], type[Reader]]:
    """Class decorator: make a reader known by `name`."""

    def register(cls: type[Reader]) -> type[Reader]:
        known = _READERS.get(name)
        if known is not None and known.__module__ != cls.__module__:
            raise ValueError(f"the reader `{name}` is registered twice")
        cls.name = name
        _READERS[name] = cls
        return cls

    return register


@cache
def built_in_readers() -> dict[str, type[Reader]]:
    """The readers of tmu itself by name, sorted. Their modules import what is heavy only when they read."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    mine = {name: cls for name, cls in _READERS.items() if not brought(cls.__module__)}
    return dict(sorted(mine.items()))


def known_readers() -> list[str]:
    """The names of all readers, sorted, those of plugins included (`tmu/plugins.py`), which are not imported."""
    mine = built_in_readers()
    return sorted([*mine, *plugins(READERS, mine)])


def load_plugin(plugin: Plugin) -> type[Reader]:
    """A plugin's reader. Raises ConfigError where it cannot be loaded, or registers no reader of its name."""
    built_in_readers()  # first: a plugin cannot take their names
    plugin.load_into(_READERS)
    if plugin.name not in _READERS:
        raise plugin.fault(f"`{plugin.module}` registers no reader of that name")
    return _READERS[plugin.name]


def usable_readers() -> dict[str, type[Reader]]:
    """All readers by name, sorted. Plugins are imported; those that cannot be used are left out."""
    found = built_in_readers().copy()
    for name, plugin in plugins(READERS, found.copy()).items():
        with contextlib.suppress(ConfigError):
            found[name] = load_plugin(plugin)
    return dict(sorted(found.items()))


def _find(name: str) -> type[Reader]:
    mine = built_in_readers()
    if name in mine:
        return mine[name]
    others = plugins(READERS, mine)
    if name not in others:
        raise ConfigError(f"There is no reader `{name}`.", f"Known readers: {', '.join(known_readers())}.")
    return load_plugin(others[name])


def get_reader(name: str, options: dict[str, Any] | None = None) -> Reader:
    """A reader with its options; `ConfigError` on an unknown reader or option, or a bad value."""
    cls = _find(name)
    try:
        return cls(cls.Options.model_validate(options or {}))
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"])
        known = ", ".join(cls.Options.model_fields) or "none"
        if first["type"] == "missing":
            given = "--root DIR" if option == "root" else f"--option {option}=VALUE"
            raise ConfigError(f"Reader `{name}` needs the option `{option}`.", f"Give {given}.") from error
        raise ConfigError(
            f"Reader `{name}`, option `{option}`: {first['msg']}.", f"Its options are: {known}."
        ) from error
