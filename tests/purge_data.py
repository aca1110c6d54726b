"""Workspaces with a few people's tiny pictures, their erasure, and what a purge of the data's copies is about."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tmu.config import Config
from tmu.data.digest import dvc_digest
from tmu.data.erase import apply_in_place, erase
from tmu.data.importer import import_records
from tmu.data.readers import Reader
from tmu.data.records import Record
from tmu.data.store import RecordStore
from tmu.files import discard
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Trace
from tmu.refs import DataRef
from tmu.workspace import Workspace

SHAPE = (1, 4, 4)


class People(Reader):
    """`n` people with `each` pictures of noise."""

    name, simulated, Options = "people-of-noise", True, Config

    def __init__(self, n: int, each: int = 2, seed: int = 0):
        super().__init__(Config())
        self._n, self._each, self._seed = n, each, seed

    def classes(self) -> list[str]:
        return ["a", "b"]

    def shape(self) -> tuple[int, int, int]:
        return SHAPE

    def records(self) -> Iterator[Record]:
        stream = np.random.default_rng(self._seed)
        for number in range(self._n * self._each):
            image = stream.integers(0, 256, SHAPE, np.uint8)
            yield Record(f"r{self._seed}-{number}", f"p{number // self._each}", number % 2, image)


def workspace_of(root: Path, reader: Reader, settings: str = "", n_buckets: int = 4) -> Workspace:
    """A workspace with the reader's records, committed and pushed."""
    Workspace.create(root)
    (root / "tmu.toml").write_text(settings)
    workspace = Workspace.create(root)
    imported(workspace, reader, n_buckets)
    return workspace


def imported(workspace: Workspace, reader: Reader, n_buckets: int = 4) -> DataRef:
    """The data from now on."""
    there = workspace.data.exists()
    import_records(reader, workspace.data, workspace.keys(simulated=True), n_buckets=n_buckets, replace=there)
    digest = workspace.versions.commit(workspace.data)
    workspace.versions.push()
    return DataRef(uri="data", digest=digest)


def erased(workspace: Workspace, person: str, request: str = "0" * 16) -> Scope:
    """Erase a person as a deletion does, and say what its purge is about."""
    key = workspace.keys(simulated=True).subject(person)
    index = RecordStore.open(workspace.data).index()
    records = index.keys_at(index.find_subject(key))
    before = workspace.versions.revision(workspace.data)
    building = workspace.state("next")
    erasure = erase(workspace.data, building, records)
    apply_in_place(building, workspace.data)
    discard(building)
    after = workspace.versions.commit(workspace.data)
    workspace.versions.push()
    assert after == dvc_digest(workspace.data) == erasure.digest
    return Scope(
        request=request,
        records=tuple(records),
        subjects=(key,),
        shards=erasure.shards_touched,
        before=DataRef(uri="data", digest=before),
        after=DataRef(uri="data", digest=after),
    )


def traces(places: list[Place], scope: Scope) -> list[Trace]:
    """What all places find."""
    return [trace for place in places for trace in place.find(scope)]


def purged(places: list[Place], scope: Scope) -> list[Trace]:
    """Purge what the places find; returns what they found."""
    found = traces(places, scope)
    by_name = {place.name: place for place in places}
    for trace in found:
        by_name[trace.place].purge(scope, trace)
    return found


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
