"""Artifacts that hold erased records, such as models, twins, references, probes, answers; and what trainings left."""

from collections.abc import Iterable, Iterator
from functools import cached_property

from tmu import manifest
from tmu.deletion.journal import Journal
from tmu.files import abandoned, discard
from tmu.lineage.learners import Learner, artifacts, learners, stage_folders
from tmu.lineage.revisions import Revisions, freed_by
from tmu.lineage.served import served, served_elsewhere
from tmu.purge.artifact_store import Copy, Listed, copies, destroy
from tmu.purge.in_service import WHY, WHY_ELSEWHERE
from tmu.purge.orphans import orphans
from tmu.purge.retention import stays
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.steps.loading import data_ref
from tmu.workspace import Workspace

ORDER = 20
_HOLDS = {
    "model": Holds.WEIGHTS,
    "statistics": Holds.WEIGHTS,
    "twin": Holds.WEIGHTS,
    "audit": Holds.KEYS,
    "forget": Holds.KEYS,
}
_ORPHAN = "Nothing refers to it any more."


def places(workspace: Workspace) -> "list[Artifacts | Leftovers]":
    """The artifact store with stage folders; what interrupted trainings left in the workspace."""
    return [Artifacts(workspace), Leftovers(workspace)]


class Artifacts:
    """The artifact store, its local cache, and the folders of `dvc.yaml` stages."""

    name = "artifacts"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Every copy of every artifact in the scope, and old versions that nothing refers to.

        Which model is in service is looked up now, and what models said: another one may serve since the scope was
        made, and one may have been asked.
        """
        models = self._models(scope)
        serving = self._serving(scope, models.values())
        addresses, listed = sorted({*scope.artifacts, *models, *self._answers(scope)}), Listed(self._workspace)
        for uri in addresses:
            action, why, until = self._action(scope, models.get(uri), serving)
            for copy in copies(self._workspace, uri, listed):
                yield self._trace(copy, uri, action, why, until)
        for copy in orphans(self._workspace, scope.request, listed, but=addresses):
            yield self._trace(copy, copy.address, Action.DESTROY, _ORPHAN, "")

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Destroy one copy; the manifest's goes first, after a purge note was left."""
        destroy(self._workspace, Copy(trace.address, trace.version), scope.request)

    def _models(self, scope: Scope) -> dict[str, Learner]:
        """The models that learned the records, by address; those in service, too."""
        wanted = {*scope.artifacts}
        found = (each for each in learners(self._workspace) if not each.purged)
        return {each.address: each for each in found if each.address in wanted or each.weights in scope.learned}

    def _answers(self, scope: Scope) -> Iterator[str]:
        """What the models said that learned the records; also one that was asked since the scope was made."""
        kept = artifacts(self._workspace, "answers")
        return (held.uri for held in kept if held.manifest["identity"].get("model") in scope.learned)

    def _serving(self, scope: Scope, models: Iterable[Learner]) -> dict[str, str]:
        """Why weights stay that are in service. Of another data set's it may be unknown whom they learned."""
        elsewhere = served_elsewhere(self._workspace)
        theirs = [each for each in models if each.weights in elsewhere]
        revisions = _revisions(self._workspace, scope) if theirs else None
        known = {each.weights: revisions is None or revisions.held(each.revision).known for each in theirs}
        found = {weights: WHY if told else WHY_ELSEWHERE for weights, told in known.items()}
        return found | dict.fromkeys(served(self._workspace), WHY)

    def _action(self, scope: Scope, model: Learner | None, serving: dict[str, str]) -> tuple[Action, str, str]:
        """What becomes of it, why, and until when. serving: why weights stay."""
        if model is not None and model.weights in serving:
            return Action.KEEP, serving[model.weights], ""
        rule = stays(self._workspace, scope, model.stage) if model is not None else None
        return (Action.KEEP, *rule) if rule else (Action.DESTROY, "", "")

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
    """Snapshots with optimiser state, and unfinished references; each name begins with the revision it learned.

    And models that killed replays were building; what a living one builds is left alone.
    """

    name = "training leftovers"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Those of revisions that held one of the records for training; none of the data as they are now."""
        revisions = _revisions(self._workspace, scope)
        without = {scope.after.digest, data_ref(self._workspace).digest}
        for folder, pattern in (("snapshots", "*.safetensors"), ("references", "[!.]*")):
            for path in sorted(self._workspace.state(folder).glob(pattern)):
                revision = f"{path.name[:32]}.dir"
                if revision in without:
                    continue
                held = revisions.held(revision)
                if held.train or held.holdout:
                    yield self._trace(f"{folder}/{path.name}")
        yield from (self._trace(f"replays/{path.name}") for path in abandoned(self._workspace.state("replays")))

    def _trace(self, address: str) -> Trace:
        return Trace(place=self.name, address=address, holds=Holds.WEIGHTS, action=Action.DESTROY)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Remove one. A training that goes on writes its next snapshot, and loses nothing but a place to resume at."""
        path = self._workspace.state(*trace.address.split("/", 1))
        if path.is_dir():
            discard(path)
        else:
            path.unlink(missing_ok=True)


def _revisions(workspace: Workspace, scope: Scope) -> Revisions:
    deletion = Journal(workspace).known(scope.request)  # none: a restored backup is from before it
    freed = freed_by(workspace, deletion, scope.records) if deletion else {}
    return Revisions(workspace, scope.records, scope.shards, scope.before.digest, freed)
