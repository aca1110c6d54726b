"""`Place`: one store in which a deletion leaves traces. One file each in `tmu/purge/places/`."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Protocol

from tmu.purge.scope import Scope
from tmu.purge.trace import Trace
from tmu.workspace import Workspace

LAST = 90
"""The order of the stores whose keys lead to the person: they wait until all others are done."""


class Place(Protocol):
    """A store. A file of `tmu/purge/places/` has `ORDER: int` and `places(workspace) -> list[Place]`.

    Those of a higher order come later: what leads to the person (keys) goes last, when nothing needs it any more.
    name: of the store, as plans, certificates and errors call it; free of raw ids.
    """

    name: str

    def find(self, scope: Scope) -> Iterator[Trace]:
        """All traces of the scope, by looking at the store itself; changes nothing. Raises StorageError."""
        ...

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Carry out the trace's action. Idempotent: what is gone already is no error. Raises StorageError."""
        ...


def by_order(workspace: Workspace) -> dict[int, list[Place]]:
    """All stores of a workspace by the order in which they are purged, lowest first."""
    from tmu.purge import places as folder

    found = (
        importlib.import_module(f"{folder.__name__}.{each.name}") for each in pkgutil.iter_modules(folder.__path__)
    )
    ordered: dict[int, list[Place]] = {}
    for module in sorted(found, key=lambda module: (module.ORDER, module.__name__)):
        ordered.setdefault(module.ORDER, []).extend(module.places(workspace))
    return ordered


def places(workspace: Workspace) -> list[Place]:
    """All stores of a workspace, in the order in which they are purged."""
    return [place for group in by_order(workspace).values() for place in group]
