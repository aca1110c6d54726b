"""Artifacts that hold erased records, such as models, twins, references and probes; and what trainings left."""

from collections.abc import Iterator
from functools import cached_property

from tmu import manifest
from tmu.files import discard
from tmu.lineage.learners import learners, stage_folders
from tmu.lineage.revisions import Revisions
from tmu.purge.artifact_store import Copy, copies, destroy
from tmu.purge.in_service import WHY
from tmu.purge.orphans import orphans
from tmu.purge.retention import stays
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.steps.loading import data_ref
from tmu.workspace import Workspace

ORDER = 20
_HOLDS = {"model": Holds.WEIGHTS, "twin": Holds.WEIGHTS, "audit": Holds.KEYS, "forget": Holds.KEYS}
_ORPHAN = "Nothing refers to it any more."


def places(workspace: Workspace) -> "list[Artifacts | Leftovers]":
    """The artifact store with stage folders; what interrupted trainings left in the workspace."""
    return [Artifacts(workspace), Leftovers(workspace)]


class Artifacts:
    """The artifact store, its local cache, and the folders of `dvc.yaml` stages."""

    name = "artifacts"

    def __init__(self, workspace: Workspace):
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Every copy of every artifact in the scope, and old versions that nothing refers to."""
        known = {each.address: each for each in learners(self._workspace)}
        addresses = self._addresses(scope)
        for uri in addresses:
            learner = known.get(uri)
            action, why, until = Action.DESTROY, "", ""
            if learner is not None and learner.weights in scope.spared:
                action, why = Action.KEEP, WHY
            elif learner is not None and (rule := stays(self._workspace, scope, learner.stage)):
                action, (why, until) = Action.KEEP, rule
            for copy in copies(self._workspace, uri):
                yield self._trace(copy, uri, action, why, until)
        for copy in orphans(self._workspace, scope.request, but=addresses):
            yield self._trace(copy, copy.address, Action.DESTROY, _ORPHAN, "")

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Destroy one copy; the manifest's goes first, after a tombstone was left."""
        destroy(self._workspace, Copy(trace.address, trace.version), scope.request)

    def _addresses(self, scope: Scope) -> list[str]:
        """Those of the scope; and those of models in service that learned the records, which only stay."""
        serving = set(scope.learned).intersection(scope.spared)
        kept = {each.address for each in learners(self._workspace) if each.weights in serving and not each.purged}
        return sorted({*scope.artifacts, *kept})

    def _trace(self, copy: Copy, uri: str, action: Action, why: str, until: str) -> Trace:
        if action is Action.DESTROY and copy.lock.closed():
            action, why = Action.EXPIRE, f"{copy.lock}"
            until = f"{copy.lock.until:%Y-%m-%d}" if copy.lock.until else ""
        facts = {"place": self.name, "address": copy.address, "version": copy.version, "holds": self._holds(uri)}
        return Trace(**facts, action=action, why=why, until=until)

    def _holds(self, uri: str) -> Holds:
        if not uri.startswith("file:"):
            return _HOLDS.get(uri.partition("/")[0], Holds.OUTPUTS)
        return self._in_stages.get(uri, Holds.IMAGES)

    @cached_property
    def _in_stages(self) -> dict[str, Holds]:
        found = {}
        for folder in stage_folders(self._workspace):
            if (folder / manifest.MANIFEST).is_file():
                address = f"file:{folder.relative_to(self._workspace.root).as_posix()}"
                found[address] = _HOLDS.get(manifest.read(folder)["kind"], Holds.OUTPUTS)
        return found


class Leftovers:
    """Snapshots with optimiser state, and unfinished references; each name begins with the revision it learned."""

    name = "training leftovers"

    def __init__(self, workspace: Workspace):
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Those of revisions that held one of the records for training; none of the data as they are now."""
        revisions = Revisions(self._workspace, scope.records, scope.shards, scope.before.digest)
        without = {scope.after.digest, data_ref(self._workspace).digest}
        for folder, pattern in (("snapshots", "*.safetensors"), ("references", "[!.]*")):
            for path in sorted(self._workspace.state(folder).glob(pattern)):
                revision = f"{path.name[:32]}.dir"
                if revision in without:
                    continue
                held = revisions.held(revision)
                if held.train or held.holdout:
                    address = f"{folder}/{path.name}"
                    yield Trace(place=self.name, address=address, holds=Holds.WEIGHTS, action=Action.DESTROY)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Remove one. A training that goes on writes its next snapshot, and loses nothing but a place to resume at."""
        path = self._workspace.state(*trace.address.split("/", 1))
        if path.is_dir():
            discard(path)
        else:
            path.unlink(missing_ok=True)
