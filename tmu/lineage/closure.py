"""The closure: everything in a workspace that came from its data, and whether it holds some records.

Manifests, the journal and MLflow's tags tell what came from what; of the data only the touched shards' keys are read.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.lineage.graph import Edge, Graph, Node, Relation, State
from tmu.lineage.kinds import kind_of_artifact
from tmu.lineage.learned import rule_of
from tmu.lineage.learners import Learner, artifacts, learners
from tmu.lineage.outputs import answers_with, naming, probes_of, stage_data_with, tables_with
from tmu.lineage.revisions import Revisions
from tmu.lineage.served import registered, served
from tmu.lineage.wanted import Wanted
from tmu.steps.loading import data_ref
from tmu.stores.artifacts import Held
from tmu.workspace import Workspace


def closure(workspace: Workspace, wanted: Wanted) -> Graph:
    """Everything that came from the data; each thing says whether it holds the records."""
    found = _Closure(workspace, wanted)
    nodes = [*found.data(), *found.models(), *found.others(), *found.deletions()]
    return Graph.of(wanted.said, nodes, found.edges)


@dataclass
class _Looked:
    """What was asked of the stores once."""

    learners: list[Learner]
    versions: list[Learner]
    served: frozenset[str]
    deletions: list[Deletion]


class _Closure:
    def __init__(self, workspace: Workspace, wanted: Wanted) -> None:
        self._workspace, self._wanted, self.edges = workspace, wanted, list[Edge]()
        self._revisions = Revisions(workspace, wanted.records, wanted.shards, wanted.pattern, wanted.freed)
        self._all = _look(workspace)
        known = [*self._all.learners, *self._all.versions]
        self._rule = rule_of(workspace, wanted.records, self._revisions, known)

    def data(self) -> Iterator[Node]:
        """The revisions that anything names, and the live shards."""
        live = data_ref(self._workspace).digest
        for deletion in self._all.deletions:
            if deletion.data and deletion.data.digest != deletion.plan.data.digest:
                self._edge(deletion.data.digest, "follows", deletion.plan.data.digest)
        digests = {each.revision for each in (*self._all.learners, *self._all.versions)} | {live}
        digests |= {ref.digest for each in self._all.deletions for ref in (each.plan.data, each.data) if ref}
        for digest in sorted(digests):
            held = self._revisions.held(digest)
            state: State = ("holds" if held.all else "free") if held.known else "unknown"
            said = f"{len(held.all)} of the records" if held.known else "not readable any more"
            said = ", ".join(([said] if self._wanted.records else []) + (["live"] if digest == live else []))
            yield Node(id=digest, kind="revision", state=state, said=said)
        if self._revisions.held(live).all:
            for bucket in self._wanted.shards:
                yield Node(id=f"shard {bucket:02x}", kind="shard", state="holds")
                self._edge(f"shard {bucket:02x}", "in", live)

    def models(self) -> Iterator[Node]:
        """Models and twins, destroyed ones too; and the versions that MLflow has of them."""
        by_weights: dict[str, list[str]] = {}
        for each in self._all.learners:
            by_weights.setdefault(each.weights, []).append(each.address)
        for each in self._all.learners:
            yield self._learner(each, "stage folder" if each.address.startswith("file:") else each.stage)
            self._descent(each, by_weights)
        for each in self._all.versions:
            yield self._learner(each, "MLflow version")
            for address in by_weights.get(each.weights, ()):
                self._edge(each.address, "registers", address)
            if each.weights not in by_weights:
                self._descent(each, by_weights)

    def _learner(self, each: Learner, kind: str) -> Node:
        learned = self._rule.learned(each)
        state: State = "holds" if learned else "free"
        if learned and each.weights in self._all.served:
            state = "kept"
        said = each.stage + (f" by {each.method}" if each.method and each.stage == "unlearned" else "") + (
            ", in service" if each.weights in self._all.served else ""
        )  # fmt: skip
        said += f", learned {len(learned)} of them" if learned else ""
        return Node(id=each.address, kind=kind, state="destroyed" if each.purged else state, said=said)

    def _descent(self, each: Learner, by_weights: dict[str, list[str]]) -> None:
        self._edge(each.address, "learned", each.revision)
        for address in by_weights.get(each.original or "", ()):
            self._edge(each.address, "made of", address)
        if each.forget:
            self._edge(each.address, "without", f"forget set {each.forget[:12]}")

    def others(self) -> Iterator[Node]:
        """References, twins of them, probes, answers, audits, forget sets, stages' records, trainings' rests."""
        records, shards = self._wanted.records, self._wanted.shards
        with_rows = {held.uri for held in tables_with(self._workspace, shards, records)} if records else set()
        yield from self._artifacts("references", with_rows)
        yield from (node for node in self._artifacts("twin", set()) if node.kind == "reference-twin")
        keys = {*records, *self._wanted.subjects}
        naming_them = {held.uri for kind in ("forget", "audit") for held in naming(self._workspace, kind, keys)}
        probed = {
            held.uri
            for forget in artifacts(self._workspace, "forget")
            if forget.uri in naming_them
            for held in probes_of(self._workspace, forget.digest)
        }
        yield from self._artifacts("probes", probed)
        yield from self._artifacts("answers", {held.uri for held in answers_with(self._workspace, records, ())})
        yield from self._artifacts("audit", naming_them)
        yield from self._artifacts("forget", naming_them)
        for folder in stage_data_with(self._workspace, shards, records):
            yield Node(id=f"file:{folder.relative_to(self._workspace.root)}", kind="stage folder", state="holds")
        yield from self._leftovers()

    def _artifacts(self, kind: str, holding: Collection[str]) -> Iterator[Node]:
        for held in artifacts(self._workspace, kind):
            identity = held.manifest["identity"]
            declared = kind_of_artifact(kind, identity.get("stage", ""))
            name = f"forget set {held.digest[:12]}" if kind == "forget" else held.uri
            self._uses(name, kind, held)
            shown = "stage folder" if held.uri.startswith("file:") else declared.name if declared else kind
            state: State = "holds" if held.uri in holding else "free"
            yield Node(id=name, kind=shown, state=state, said=identity.get("stage", ""))

    def _uses(self, name: str, kind: str, held: Held) -> None:
        identity = held.manifest["identity"]
        if "data" in identity:
            self._edge(name, "learned" if kind == "references" else "looked at", identity["data"])
        if kind in ("probes", "audit") and identity.get("forget"):
            self._edge(name, "looked at", f"forget set {identity['forget'][:12]}")
        named = [identity.get("original"), identity.get("model"), *(identity.get("models") or {}).values()]
        weights = {each for each in named if isinstance(each, str)}  # of references `model` is a recipe
        for each in self._all.learners:
            if each.weights in weights:
                self._edge(name, "looked at", each.address)

    def _leftovers(self) -> Iterator[Node]:
        for folder, kind in (("snapshots", "snapshot"), ("references", "unfinished references")):
            for path in sorted((self._workspace.root / ".tmu" / folder).glob("[!.]*")):
                revision = f"{path.name[:32]}.dir"
                held = self._revisions.held(revision)
                state: State = "holds" if held.train or held.holdout else "free"
                yield Node(id=f"{folder}/{path.name}", kind=kind, state=state)
                self._edge(f"{folder}/{path.name}", "learned", revision)

    def deletions(self) -> Iterator[Node]:
        """The journal's deletions; those that erased the records hold their keys until a purge."""
        for each in self._all.deletions:
            mine = {*each.asked.subjects, *each.asked.records, *each.plan.subjects}
            state: State = "holds" if mine & {*self._wanted.records, *self._wanted.subjects} else "free"
            said = f"deletion, {each.stage}"
            yield Node(id=f"request {each.id}", kind="journal", state=state, said=said)
            self._edge(f"request {each.id}", "looked at", f"forget set {each.forget.digest[:12]}")

    def _edge(self, source: str, relation: Relation, target: str) -> None:
        self.edges.append(Edge(source=source, relation=relation, target=target))


def _look(workspace: Workspace) -> _Looked:
    return _Looked(
        learners=learners(workspace),
        versions=registered(workspace),
        served=served(workspace),
        deletions=Journal(workspace).all(),
    )
