"""What other distributions add to tmu: methods, metrics, readers and architectures, found by their entry points.

An entry point's name is the name that params.yaml and the command line use; its value is a module of the distribution:

    [project.entry-points."tmu.methods"]
    my-method = "my_package.my_method"

The module of a method has the interface of a file in `tmu/unlearn/`; those of the other groups register what they hold
with `@metric`, `@reader` or `@architecture` when they are imported. Nothing is imported before it is needed. What tmu
has itself cannot be replaced. A plugin that cannot be loaded is an error where it is asked for by name, and a line of
`tmu show` and `tmu doctor` elsewhere.
"""

import importlib
import importlib.util
from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from tmu.errors import ConfigError

METHODS, METRICS, READERS, MODELS = GROUPS = ("tmu.methods", "tmu.metrics", "tmu.readers", "tmu.models")


@dataclass(frozen=True)
class Plugin:
    """One entry point. distribution: name and version of what brings it; files are read at `root`."""

    group: str
    name: str
    module: str
    distribution: str

    def __str__(self) -> str:
        return f"`{self.name}` of {self.distribution} (entry point {self.group})"

    def load(self) -> ModuleType:
        """The module. Raises ConfigError that names the plugin and the cause, whatever its code does."""
        try:
            return importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            raise self.fault(f"{type(error).__name__}: {error}") from error

    def load_into(self, table: dict[str, Any]) -> None:
        """Import the module, which registers what it holds in `table`; of one that fails, nothing stays there."""
        before = dict(table)
        try:
            self.load()
        except ConfigError:
            table.clear()
            table.update(before)
            raise

    def fault(self, why: str) -> ConfigError:
        """The error of a plugin that cannot be used."""
        name = self.distribution.partition(" ")[0]
        return ConfigError(f"The plugin {self} cannot be used: {why}.", f"Repair it, or `pip uninstall {name}`.")


def plugins(group: str, taken: Collection[str] = ()) -> dict[str, Plugin]:
    """The usable entry points of a group by name; not loaded.

    taken: names that tmu has itself. Those, and names that two distributions claim, are nobody's (`faults`).
    """
    found = claims(group)
    return {name: each[0] for name, each in found.items() if name not in taken and len(each) == 1}


def faults(group: str, taken: Collection[str], load: Callable[[Plugin], object]) -> dict[str, str]:
    """What is wrong with the plugins of a group, one sentence each, by name; `load` tries one that could be used."""
    wrong = {}
    for name, found in claims(group).items():
        if name in taken:
            wrong[name] = str(found[0].fault("tmu has one of that name itself"))
        elif len(found) > 1:
            others = " and ".join(sorted(each.distribution for each in found))
            wrong[name] = str(found[0].fault(f"{others} both claim the name"))
        else:
            try:
                load(found[0])
            except ConfigError as error:
                wrong[name] = str(error)
    return wrong


def brought(module: str) -> bool:
    """Whether a module belongs to a plugin."""
    top = module.partition(".")[0]
    return top != "tmu" and bool(_of_package(top))


def brought_by(package: str) -> list[str]:
    """The distributions (name and version) that bring plugins from a top-level package."""
    return sorted({each.distribution for each in _of_package(package)})


def root_of(package: str) -> Path | None:
    """The folder of a top-level package, or the file of a top-level module, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    place = places[0] if places else spec.origin
    return Path(place) if place and Path(place).exists() else None


def claims(group: str) -> dict[str, list[Plugin]]:
    """All entry points of a group by name, each with all that claim it."""
    found: dict[str, list[Plugin]] = {}
    for each in entry_points(group=group):
        plugin = Plugin(group, _name(group, each), each.module, _distribution(each))
        known = found.setdefault(plugin.name, [])
        if plugin not in known:  # one distribution may be seen twice: installed and on the path
            known.append(plugin)
    return dict(sorted(found.items()))


def _of_package(package: str) -> list[Plugin]:
    every = (plugin for group in GROUPS for found in claims(group).values() for plugin in found)
    return [plugin for plugin in every if plugin.module.partition(".")[0] == package]


def _name(group: str, found: EntryPoint) -> str:
    return found.name.replace("_", "-") if group == METHODS else found.name


def _distribution(found: EntryPoint) -> str:
    return f"{found.dist.name} {found.dist.version}" if found.dist else "an unknown distribution"
