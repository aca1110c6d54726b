"""After a restore from a backup: what was erased since is found by its tombstones, erased again, and purged again.

A backup knows nothing of the deletions that came after it. The tombstones do, as long as they are not restored with it
(`tmu/suppression/tombstones.py`). They hold marks, no keys: every key that the restored stores hold is tried against
them. Looking changes nothing.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import Field

from tmu.config import Config
from tmu.data.index import Index
from tmu.data.info import read_info
from tmu.data.keys import to_hex
from tmu.data.store import RecordStore
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import StorageError
from tmu.ledger.entries import chunks
from tmu.ledger.place import has_ledger, opened
from tmu.ledger.schema import requests
from tmu.ledger.shred import known_keys
from tmu.ledger.states import State
from tmu.purge.acting import Report
from tmu.purge.record import Record
from tmu.purge.scope import Scope
from tmu.refs import DataRef
from tmu.steps.acknowledge import forget_set
from tmu.steps.erase_data import erase_data
from tmu.steps.loading import data_ref
from tmu.steps.plan import Planner
from tmu.steps.purge import act_purge, check_purge, foresee_again, plan_again, refuse_left, scrub_purge
from tmu.suppression.tombstones import Tombstone, Tombstones
from tmu.workspace import Workspace


class Forgotten(Config):
    """A request that the tombstones know as served and the ledger does not. state: what it says; empty: nothing."""

    request: str
    state: str = ""


class Found(Config):
    """What came back. deletions: how many the tombstones tell of. records: erased records that are in the live data.

    versions: of models that were purged and are not blocked. serving: the version in service, if it is one of a model
    that was purged. traces: what the purge finds, by deletion. forgotten: requests of the ledger.
    data: the revision afterwards; None where nothing was to be erased, or nothing was done yet.
    """

    deletions: int
    records: int
    versions: tuple[int, ...] = ()
    serving: int | None = None
    traces: dict[str, int] = Field(default_factory=dict)
    forgotten: tuple[Forgotten, ...] = ()
    data: DataRef | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing came back."""
        return not (self.records or self.versions or self.traces)


@dataclass(frozen=True)
class _Deletion:
    """All tombstones of one deletion as one."""

    lines: tuple[Tombstone, ...]

    @property
    def id(self) -> str:
        return self.lines[0].request

    @property
    def requests(self) -> tuple[str, ...]:
        return tuple(sorted({each for line in self.lines for each in line.requests}))

    @property
    def weights(self) -> tuple[str, ...]:
        return tuple(sorted({each for line in self.lines for each in line.weights}))

    @property
    def artifacts(self) -> tuple[str, ...]:
        return tuple(sorted({each for line in self.lines for each in line.artifacts}))


def look_for_returned(workspace: Workspace, lines: Sequence[Tombstone]) -> Found:
    """What of the tombstones' deletions is back; nothing is written. Raises as `Tombstones.marks_of`."""
    seen = _Seen(workspace, lines)
    traces = {}
    for each in seen.deletions:
        found = len(foresee_again(workspace, seen.scope(each)).left)
        traces |= {each.id: found} if found else {}
    return Found(
        deletions=len(seen.deletions),
        records=len(seen.returned),
        versions=tuple(seen.versions()),
        serving=seen.serving(),
        traces=traces,
        forgotten=tuple(_forgotten(workspace, seen.deletions)),
    )


def restore(workspace: Workspace, lines: Sequence[Tombstone], report: Report = lambda done, total: None) -> Found:
    """Erase and purge again what came back, and block the models that were purged. Again changes nothing.

    Raises HeldError where a legal hold covers a record, RequestError while a deletion is unfinished, StorageError where
    a store refuses; what was done is kept.
    """
    Journal(workspace).refuse_a_second()
    Tombstones.of(workspace).merge(lines)
    seen = _Seen(workspace, lines)
    before = look_for_returned(workspace, lines)
    _block(workspace, seen)
    scopes = [seen.scope(each) for each in seen.deletions]  # by the keys that are still there
    data = _erased_again(workspace, seen)
    for number, scope in enumerate(scopes):
        _purged_again(workspace, scope)
        report(number + 1, len(scopes))
    return before.model_copy(update={"data": data})


class _Seen:
    """The keys that the stores hold, and which of them a deletion erased. Looked at once."""

    def __init__(self, workspace: Workspace, lines: Sequence[Tombstone]) -> None:
        self._workspace = workspace
        self.tombstones = Tombstones.of(workspace)
        self.deletions = _by_deletion(lines)
        self.index = RecordStore.open(workspace.data).index()  # no cached index
        self._live = data_ref(workspace)
        self.keys = {*to_hex(self.index.record_keys), *to_hex(self.index.subject_keys)}
        self.keys |= set(_elsewhere(workspace, self.deletions))
        live = set(to_hex(self.index.record_keys))
        self.returned = sorted({key for each in self.deletions for key in self.records(each) if key in live})

    def records(self, deletion: _Deletion) -> list[str]:
        """The record keys that a deletion erased, of those that any store holds."""
        return self._marked(deletion, {mark for line in deletion.lines for mark in line.records})

    def scope(self, deletion: _Deletion) -> Scope:
        """What is to be looked for again."""
        records = self.records(deletion)
        marks = {mark for line in deletion.lines for mark in line.subjects}
        newest = deletion.lines[-1]
        return Scope(
            request=deletion.id,
            requests=deletion.requests,
            records=tuple(records),
            subjects=tuple(self._marked(deletion, marks)),
            shards=tuple(range(read_info(self._workspace.data).n_buckets)),
            before=DataRef(uri="data", digest=newest.before),
            after=DataRef(uri="data", digest=newest.after),
            learned=deletion.weights,
            artifacts=deletion.artifacts,
        )

    def versions(self) -> list[int]:
        """Registered versions of models that were purged and are not blocked."""
        weights = self._weights()
        found = self._workspace.registry.versions(read_info(self._workspace.data).dataset) if weights else []
        return [each.version for each in found if each.weights_sha256 in weights and not each.refused]

    def serving(self) -> int | None:
        """The version in service, if its model was purged."""
        weights = self._weights()
        name = read_info(self._workspace.data).dataset
        champion = self._workspace.registry.get_alias(name, "champion") if weights else None
        return champion.version if champion is not None and champion.weights_sha256 in weights else None

    def _weights(self) -> set[str]:
        return {each for deletion in self.deletions for each in deletion.weights}

    def _marked(self, deletion: _Deletion, wanted: set[str]) -> list[str]:
        marks = self.tombstones.marks_of(deletion.lines[-1])
        return sorted(key for key in self.keys if marks.of(key) in wanted)


def _by_deletion(lines: Iterable[Tombstone]) -> list[_Deletion]:
    found: dict[str, list[Tombstone]] = {}
    for line in lines:
        found.setdefault(line.request, []).append(line)
    return [_Deletion(tuple(each)) for each in found.values()]


def _elsewhere(workspace: Workspace, deletions: Sequence[_Deletion]) -> Iterator[str]:
    """Keys in the ledger, the journal, the forget sets, and the old revisions that DVC's cache holds."""
    if has_ledger(workspace):
        with opened(workspace) as ledger, ledger.read() as connection:
            yield from known_keys(connection)
    for each in Journal(workspace).all():
        yield from each.every_key
    yield from _of_forget_sets(workspace)
    for digest in sorted({line.before for each in deletions for line in each.lines}):
        with suppress(StorageError):  # it is not in the cache: nothing of it came back
            folder, _ = workspace.versions.linked(digest)
            index = Index.build(folder)
            yield from to_hex(index.record_keys)
            yield from to_hex(index.subject_keys)


def _of_forget_sets(workspace: Workspace) -> Iterator[str]:
    for held in workspace.artifacts.manifests("forget"):
        if "forget.json" in held.manifest["files"]:
            folder = workspace.artifacts.fetch(held.uri, held.digest, ["forget.json"])
            yield from json.loads((folder / "forget.json").read_bytes())["records"]


def _forgotten(workspace: Workspace, deletions: Sequence[_Deletion]) -> Iterator[Forgotten]:
    """Requests that were served and that the ledger does not know, or knows in an earlier state."""
    served = [request for each in deletions for request in each.requests]
    if not served or not has_ledger(workspace):
        yield from (Forgotten(request=each) for each in served)
        return
    with opened(workspace) as ledger, ledger.read() as connection:
        wanted = sa.select(requests.c.id, requests.c.state)
        states = {
            row.id: row.state
            for part in chunks(served)
            for row in connection.execute(wanted.where(requests.c.id.in_(part)))
        }
    for request in served:
        if states.get(request) != State.COMPLETED:
            yield Forgotten(request=request, state=states.get(request, ""))


def _block(workspace: Workspace, seen: _Seen) -> None:
    dataset = read_info(workspace.data).dataset
    again = set(seen.versions())
    for version in workspace.registry.versions(dataset) if again else ():
        if version.version in again:
            workspace.registry.block(dataset, version)


def _erased_again(workspace: Workspace, seen: _Seen) -> DataRef | None:
    """The revision without the records that came back; None where there are none."""
    if not seen.returned:
        return None
    planner = Planner(workspace)
    resolved = planner.resolved_of_any_size(Asked.of([], seen.returned))
    return erase_data(workspace, planner.data, forget_set(workspace, resolved), request=resolved.id)


def _purged_again(workspace: Workspace, scope: Scope) -> Record:
    """Plan, act and check as for the first time; the keys that were found are taken out of the record at the end."""
    plan_again(workspace, scope)
    act_purge(workspace, scope.request)
    record = check_purge(workspace, scope.request)
    refuse_left(record)
    return scrub_purge(workspace, scope.request)
