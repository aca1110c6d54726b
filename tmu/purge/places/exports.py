"""Exports of models that learned the person: copies elsewhere, which a purge names and cannot reach."""

from collections.abc import Iterator

from tmu.export.kept import KIND, exports_of
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.workspace import Workspace

ORDER = 35


def places(workspace: Workspace) -> list[Place]:
    """The record of exports."""
    return [Exports(workspace)]


class Exports:
    """An export stays until its holder says that it is destroyed (`tmu export withdraw`)."""

    name = "exports"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Exports of models of the scope that nobody has withdrawn."""
        for export in exports_of(self._workspace):
            if export.weights in scope.learned and export.weights not in scope.spared and not export.withdrawn:
                yield Trace(
                    place=self.name,
                    address=f"{KIND}/{export.id}",
                    holds=Holds.WEIGHTS,
                    action=Action.KEEP,
                    why=f"version {export.version} was exported on {export.at[:10]} ({', '.join(export.forms)}): its "
                    f"holder must destroy it, and `tmu export withdraw {export.id}` notes that",
                )

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Nothing: the copy lies elsewhere."""
