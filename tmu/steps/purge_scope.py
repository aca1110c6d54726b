"""What the purge of a deletion is about: everything that its records reached."""

from collections.abc import Iterator

from tmu.data.index import Index
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Deletion
from tmu.ledger.batches import members
from tmu.ledger.place import opened
from tmu.lineage.learned import accepted, rule_of
from tmu.lineage.learners import Learner, artifacts, learners
from tmu.lineage.outputs import answers_with, naming, probes_of, stage_data_with, tables_with
from tmu.lineage.revisions import Revisions, freed_by
from tmu.lineage.served import registered, served, served_elsewhere
from tmu.purge.scope import Scope
from tmu.refs import Ref
from tmu.steps.loading import forget_keys
from tmu.workspace import Workspace


def scope_of(workspace: Workspace, deletion: Deletion) -> Scope:
    """The scope of a deletion that has erased its records; to be made before anything of it is purged.

    Read are the forget set, the touched shards' keys, and the manifests: nothing that grows with the data. Raises
    StorageError where a store does not answer, or the forget set is gone.
    """
    records = tuple(sorted(forget_keys(workspace, deletion.forget)))
    freed = freed_by(workspace, deletion, records)
    revisions = Revisions(workspace, records, deletion.plan.shards, deletion.plan.data.digest, freed)
    subjects = _subjects(workspace, deletion, records, revisions)
    known = [*learners(workspace), *registered(workspace)]
    rule = rule_of(workspace, records, revisions, known)
    reached = [each for each in known if not each.purged and rule.learned(each)]
    spared = _spared(workspace, deletion)
    learned = {each.weights for each in reached}
    addresses = {*_models(reached), *_others(workspace, deletion, (*records, *subjects), records)} - spared
    addresses |= {held.uri for held in answers_with(workspace, records, learned)}
    return Scope(
        request=deletion.id,
        requests=_requests(workspace, deletion),
        records=records,
        subjects=subjects,
        shards=deletion.plan.shards,
        before=deletion.plan.data,
        after=deletion.data,
        learned=tuple(sorted(learned)),
        artifacts=tuple(sorted(addresses)),
        spared=tuple(sorted(spared)),
    )


def _requests(workspace: Workspace, deletion: Deletion) -> tuple[str, ...]:
    """The ledger's requests that it serves."""
    if deletion.asked.batch is None:
        return ()
    with opened(workspace) as ledger, ledger.read() as connection:
        return tuple(each.id for each in members(connection, deletion.asked.batch))


def _models(reached: list[Learner]) -> Iterator[str]:
    """Their addresses in the artifact store and in stage folders; MLflow's versions are told by their weights."""
    return (each.address for each in reached if not each.address.startswith("models:/"))


def _others(workspace: Workspace, deletion: Deletion, keys: tuple[str, ...], records: tuple[str, ...]) -> Iterator[str]:
    """Addresses of what holds something of the records but is no model. Forget sets in the store go last, elsewhere."""
    shards = deletion.plan.shards
    yield from (held.uri for held in tables_with(workspace, shards, records))
    yield from (held.uri for held in probes_of(workspace, deletion.forget.digest))
    yield from (held.uri for held in naming(workspace, "audit", keys))
    yield from (held.uri for held in naming(workspace, "forget", keys) if held.uri.startswith("file:"))
    for folder in stage_data_with(workspace, shards, records):
        yield f"file:{folder.relative_to(workspace.root).as_posix()}"


def _spared(workspace: Workspace, deletion: Deletion) -> set[str]:
    """What stays in any case: what serves, what the audit accepted, the audit, and the references as they are now."""
    weights = served(workspace) | served_elsewhere(workspace) | accepted(deletion)
    audit = deletion.outcome.audit if deletion.outcome else None
    refs: list[Ref | None] = [audit, deletion.failed_audit, deletion.references_after]
    found = {*weights, *(ref.uri for ref in refs if ref is not None)}
    for held in artifacts(workspace, "model"):
        if held.manifest["files"].get("weights.safetensors") in weights and not held.uri.startswith("file:"):
            found.add(held.uri)
    return found


def _subjects(
    workspace: Workspace, deletion: Deletion, records: tuple[str, ...], revisions: Revisions
) -> tuple[str, ...]:
    """Keys of the people who are gone: those who were named, and those of whom single records were the last ones."""
    named = frozenset(deletion.plan.subjects)
    index = Index.build(workspace.data, buckets=deletion.plan.shards)
    gone = {key for key in index.subject_marks if index.is_erased_subject(key)}
    last = gone.intersection(revisions.people(deletion.plan.data.digest)) - named
    if last:  # another shard may hold a picture of them and others
        whole = RecordStore.open(workspace.data, cache=workspace.state("index")).index()
        last = {key for key in last if not len(whole.find_subject(key))}
    return tuple(sorted(named | last))
