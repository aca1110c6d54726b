"""Which records a lineage is asked for: those of people and single ones, in the data or erased from them."""

from collections.abc import Collection

from pydantic import Field

from tmu.config import Config
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.errors import RequestError, StorageError
from tmu.lineage.revisions import freed_by, records_of
from tmu.steps.loading import data_ref, forget_keys
from tmu.workspace import Workspace


class Wanted(Config):
    """The records, as keys. said: in words without an id.

    shards: the buckets in which they lie or lay. pattern: a revision that held them; None: none is known. freed: those
    that a revision is known to be without, by its digest.
    """

    said: str
    records: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    shards: tuple[int, ...] = ()
    pattern: str | None = None
    freed: dict[str, frozenset[str]] = Field(default_factory=dict)


NOTHING = Wanted(said="the data")
"""No record in particular: for the descent of models alone."""


def wanted_of(workspace: Workspace, subjects: Collection[str], records: Collection[str]) -> Wanted:
    """Those of people and single ones, by their keys. Raises RequestError where nothing here leads to any of them."""
    index = RecordStore.open(workspace.data, cache=workspace.index_parts, keep=False).index()
    named = frozenset(records)
    found = {key for subject in subjects for key in index.keys_at(index.find_subject(subject))}
    places, _ = index.find_records([*found, *named])
    found.update(index.keys_at(places))
    shards, pattern = set(index.buckets[places].tolist()), data_ref(workspace).digest
    freed: dict[str, frozenset[str]] = {}
    for deletion in Journal(workspace).all():
        erased = _erased(workspace, deletion, frozenset(subjects), named)
        if erased:
            found, shards, pattern = found | erased, shards | {*deletion.plan.shards}, deletion.plan.data.digest
            for digest, gone in freed_by(workspace, deletion, erased).items():
                freed[digest] = freed.get(digest, frozenset()) | gone
    if not found:
        raise RequestError(
            "Nothing here leads to the records that are asked for: they are unknown, or purged.",
            "`tmu data show --subject ID` tells which; `tmu show requests` lists the deletions.",
        )
    return Wanted(
        said=_said(len(subjects), len(named)),
        records=tuple(sorted(found)),
        subjects=tuple(sorted(subjects)),
        shards=tuple(sorted(shards)),
        pattern=pattern,
        freed=freed,
    )


def _erased(
    workspace: Workspace, deletion: Deletion, subjects: frozenset[str], records: frozenset[str]
) -> frozenset[str]:
    """Those that a deletion erased, as long as its forget set and the revision before can be read."""
    people = subjects.intersection((*deletion.plan.subjects, *deletion.asked.subjects))
    try:
        gone = forget_keys(workspace, deletion.forget)
    except (StorageError, KeyError):
        return frozenset()  # purged
    if not people:
        return gone & records
    return (gone & records) | gone.intersection(records_of(workspace, deletion.plan, people) or gone)


def _said(people: int, records: int) -> str:
    parts = [f"{n} {name}{'s' * (n != 1)}" for n, name in ((people, "subject"), (records, "record")) if n]
    return " and ".join(parts)
