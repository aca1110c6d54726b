"""An erasure that touches only the shards of a person: what is built, what it costs, and what is refused."""

import numpy as np
import pytest

from tmu.data import erase as erasing
from tmu.data.digest import dvc_digest, manifest
from tmu.data.erase import LISTING, apply_in_place, erase, prepare
from tmu.data.index import Index
from tmu.data.info import shard_paths
from tmu.data.store import RecordStore
from tmu.errors import DataError, StorageError


@pytest.fixture
def person(make_store, keys):
    """A store and the records of one person in it."""
    store = make_store()
    index = store.index()
    return store, index.keys_at(index.find_subject(keys.subject("person-3")))


def test_the_same_revision_as_a_whole_erasure(person, tmp_path):
    store, records = person
    whole = erase(store.path, tmp_path / "whole", records)
    made = prepare(store.path, tmp_path / "part", records)
    assert made == whole and made.digest == dvc_digest(tmp_path / "whole")
    built = {path.relative_to(tmp_path / "part").as_posix() for path in (tmp_path / "part").rglob("*.*")}
    assert built == {LISTING, *(f"shards/{bucket:02x}.parquet" for bucket in made.shards_touched)}
    assert len(apply_in_place(tmp_path / "part", store.path)) == len(made.shards_touched) == 1
    assert manifest(store.path) == manifest(tmp_path / "whole")
    assert apply_in_place(tmp_path / "part", store.path) == []


def test_no_other_shard_is_read(person, tmp_path, monkeypatch):
    store, records = person
    read = []
    real = erasing.read_stored
    monkeypatch.setattr(erasing, "read_stored", lambda path: read.append(path) or real(path))
    made = prepare(store.path, tmp_path / "part", records)
    assert len(read) == len(made.shards_touched) < len(shard_paths(store.path))


def test_data_that_moved_on_are_refused(person, tmp_path):
    store, records = person
    prepare(store.path, tmp_path / "part", records)
    other = next(path for path in shard_paths(store.path) if not (tmp_path / "part" / "shards" / path.name).exists())
    other.write_bytes(other.read_bytes() + b" ")
    was = manifest(store.path)
    with pytest.raises(DataError, match="not erased from what is in"):
        apply_in_place(tmp_path / "part", store.path)
    assert manifest(store.path) == was


def test_a_prepared_shard_that_was_changed_is_refused(person, tmp_path):
    store, records = person
    made = prepare(store.path, tmp_path / "part", records)
    shard = tmp_path / "part" / "shards" / f"{made.shards_touched[0]:02x}.parquet"
    shard.write_bytes(shard.read_bytes() + b" ")
    with pytest.raises(DataError, match="changed after it was written"):
        apply_in_place(tmp_path / "part", store.path)


def test_an_index_of_some_shards_reads_no_other(person, tmp_path):
    store, records = person
    whole = store.index()
    buckets = np.unique(whole.buckets[whole.find_records(records)[0]]).tolist()
    for path in shard_paths(store.path):
        if int(path.stem, 16) not in buckets:
            path.write_bytes(b"not read")
    part = Index.build(store.path, buckets=buckets)
    assert part.keys_at(part.find_records(records)[0]) == whole.keys_at(whole.find_records(records)[0])
    assert 0 < len(part) < len(whole)


def test_a_cache_that_is_only_read_gets_nothing_new(person, tmp_path):
    store, _ = person
    Index.build(store.path, tmp_path / "parts", keep=False)
    assert not (tmp_path / "parts").exists()
    Index.build(store.path, tmp_path / "parts")
    assert len(list((tmp_path / "parts").iterdir())) == len(shard_paths(store.path))


def test_listed_files_are_hashed_when_they_are_read(person):
    store, _ = person
    listed = manifest(store.path)
    opened = RecordStore.open(store.path, listed=listed)
    assert len(opened.load("train"))
    changed = shard_paths(store.path)[0]
    name = changed.relative_to(store.path).as_posix()
    lying = RecordStore.open(store.path, listed=listed | {name: "0" * 32})
    with pytest.raises(StorageError, match="is not what DVC's list"):
        lying.load("train")
    with pytest.raises(StorageError, match=r"store\.json"):
        RecordStore.open(store.path, listed={})
