"""MLflow: aliases, versions, logged models, runs and files of models that learned erased records.

A version leaves a stub: its number, role and weights' digest, and when it was purged for which deletion. So
`models:/NAME/1` says what became of it. Dataset rows that a purged run alone named go with the run; those that other
runs name stay: they hold a name, a count and the digest of a revision, and lead to nobody.
"""

from collections.abc import Iterator
from functools import cached_property

from tmu.lineage.served import served, served_elsewhere
from tmu.purge.place import Place
from tmu.purge.retention import stays
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.stores import mlflow_copies
from tmu.stores.mlflow import ModelRegistry
from tmu.stores.mlflow_files import Files
from tmu.stores.mlflow_left import Finder, Left
from tmu.stores.mlflow_purge import MlflowPurge
from tmu.stores.mlflow_rows import Rows
from tmu.stores.s3_access import s3_access
from tmu.workspace import Workspace

ORDER = 30
_MARKED = (
    "MLflow's server has marked it as deleted; rows, and old versions of its files if its bucket keeps them, go when "
    "its operator runs `mlflow gc`, or with the settings mlflow_database and mlflow_destination"
)


def places(workspace: Workspace) -> list[Place]:
    """The registry and its store, and the copies of models that loading them left on this machine."""
    return [Mlflow(workspace), TemporaryCopies()]


class Mlflow:
    """The MLflow of a workspace: a SQLite file and a folder, or a server with its database and its store."""

    name = "mlflow"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """What MLflow holds of each model that learned the records and serves nowhere now; a kept one is blocked."""
        serving = served(self._workspace) | served_elsewhere(self._workspace)
        for left in Finder(*self._parts).find(frozenset(scope.learned) - serving):
            rule = stays(self._workspace, scope, left.role) if left.role else None
            yield from self._kept(left, *rule) if rule else [self._trace(left)]

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Destroy one thing, or block a version that stays by rule."""
        purge = MlflowPurge(*self._parts)
        if trace.action is Action.REWRITE:
            purge.block(trace.address)
        else:
            purge.destroy(trace.address, scope.request)

    def _kept(self, left: Left, why: str, until: str) -> Iterator[Trace]:
        if left.kind == "version" and not left.blocked:
            blocked = "it stays by rule, and must not be served"
            yield Trace(place=self.name, address=left.address, holds=Holds.NAMES, action=Action.REWRITE, why=blocked)
        kept = {"action": Action.KEEP, "why": why, "until": until}
        yield self._trace(left).model_copy(update=kept)

    def _trace(self, left: Left) -> Trace:
        holds = Holds.WEIGHTS if left.kind in ("version", "files", "model", "locked") else Holds.NAMES
        trace = Trace(place=self.name, address=left.address, holds=holds, action=Action.DESTROY)
        if left.kind == "marked":
            return trace.model_copy(update={"action": Action.EXPIRE, "why": _MARKED})
        if left.lock is not None:
            kept = {"version": left.lock.version, "why": left.lock.why, "until": left.lock.until}
            return trace.model_copy(update={"action": Action.EXPIRE} | kept)
        return trace

    @cached_property
    def _parts(self) -> tuple[ModelRegistry, Files, Rows | None]:
        """MLflow's interface, its files, and its database where that is known here."""
        registry, settings = self._workspace.registry, self._workspace.settings
        home, access = self._workspace.state().resolve(), s3_access(settings)
        uri = settings.mlflow_database.get_secret_value() if settings.mlflow_database else registry.uri
        files = Files(home, access, registry.uri, settings.mlflow_destination)
        return registry, files, None if uri.startswith("http") else Rows(uri)


class TemporaryCopies:
    """Whole models that MLflow left in this machine's temporary folder when they were loaded."""

    name = "temporary copies of models"

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Those whose weights learned the records; no rule keeps a copy that nobody knows of."""
        for folder in mlflow_copies.copies(frozenset(scope.learned)):
            yield Trace(place=self.name, address=folder.name, holds=Holds.WEIGHTS, action=Action.DESTROY)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Remove one."""
        mlflow_copies.discard(trace.address)
