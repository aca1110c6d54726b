"""A picture of several people: whoever of them is deleted, it goes, and nothing else of the others does."""

import json

import numpy as np
import pytest

from tmu.data.digest import dvc_digest
from tmu.data.erase import apply_in_place, erase
from tmu.data.importer import import_records
from tmu.data.index import Index, prune
from tmu.data.info import shard_path
from tmu.data.keys import to_hex
from tmu.data.records import Record
from tmu.data.shards import read_facts, read_shard, write_shard
from tmu.data.store import RecordStore
from tmu.errors import DataError

PEOPLE = {"r0": ["anna"], "r1": ["anna", "bert"], "r2": ["bert"], "r3": ["carl"], "r4": ["carl", "anna", "dora"]}
PEOPLE |= {f"s{number}": [f"p{number % 5}"] for number in range(20)}


def reader_of(made, people=PEOPLE):
    class Shared(made):
        simulated = False

        def records(self):
            stream = np.random.default_rng(0)
            for number, (name, (first, *also)) in enumerate(people.items()):
                image = stream.integers(0, 256, self.form, np.uint8)
                yield Record(name, first, number % self.n_classes, image, "train", tuple(also))

    return Shared(len(people))


@pytest.fixture
def shared(make_store, made):
    return make_store(reader=reader_of(made))


def records(store, keys, *people):
    index = store.index()
    found = np.unique(np.concatenate([index.find_subject(keys.subject(name)) for name in people]))
    return {name for name in PEOPLE if keys.record(name) in index.keys_at(found)}


def test_each_of_them_has_it(shared, keys):
    assert records(shared, keys, "anna") == {"r0", "r1", "r4"}
    assert records(shared, keys, "bert") == {"r1", "r2"}
    assert records(shared, keys, "dora") == {"r4"}
    index = shared.index()
    assert index.people_behind([keys.record("r4")]) == sorted(map(keys.subject, ("carl", "anna", "dora")))
    assert index.n_subjects == 9
    shared.verify()


def test_the_order_of_the_people_changes_no_byte(make_store, made):
    turned = {name: people[::-1] for name, people in PEOPLE.items()}
    assert (
        make_store("one", reader=reader_of(made)).digest() == make_store("two", reader=reader_of(made, turned)).digest()
    )


def test_deleting_one_takes_the_picture_and_leaves_the_others_theirs(shared, tmp_path, keys):
    index = shared.index()
    erasure = erase(shared.path, tmp_path / "next", index.keys_at(index.find_subject(keys.subject("anna"))))
    after = RecordStore.open(tmp_path / "next")
    assert records(after, keys, "bert") == {"r2"} and records(after, keys, "carl") == {"r3"}
    assert set(erasure.subjects) == {keys.subject("anna"), keys.subject("dora")}  # r4 was all that there was of dora
    gone = after.index()
    assert gone.is_erased(keys.record("r1")) and gone.is_erased_subject(keys.subject("anna"))
    assert gone.is_erased_subject(keys.subject("dora")) and not gone.is_erased_subject(keys.subject("bert"))
    after.verify()
    assert len(after.load("train")) == len(PEOPLE) - 3


@pytest.mark.parametrize("order", [("r1", "r2"), ("r2", "r1")])
def test_in_two_steps_it_is_the_same_bytes(shared, tmp_path, keys, order):
    first, second = map(keys.record, order)
    erase(shared.path, tmp_path / "half", [first])
    half = RecordStore.open(tmp_path / "half")
    assert not half.index().is_erased_subject(keys.subject("bert"))
    half.verify()
    erase(tmp_path / "half", tmp_path / "two", [second])
    erase(shared.path, tmp_path / "once", [first, second])
    assert dvc_digest(tmp_path / "two") == dvc_digest(tmp_path / "once")
    assert RecordStore.open(tmp_path / "two").index().is_erased_subject(keys.subject("bert"))
    apply_in_place(tmp_path / "half", shared.path)
    apply_in_place(tmp_path / "two", shared.path)
    RecordStore.open(shared.path).verify()


def test_it_does_not_come_back_with_any_of_them(shared, tmp_path, keys, made):
    index = shared.index()
    erase(shared.path, tmp_path / "next", index.keys_at(index.find_subject(keys.subject("bert"))))
    more = PEOPLE | {"new1": ["bert", "anna"], "new2": ["anna"]}  # a new picture of bert, whom everybody was erased of
    imported = import_records(reader_of(made, more), tmp_path / "next", keys, n_buckets=8, replace=True)
    assert imported.skipped_erased == 3
    store = RecordStore.open(tmp_path / "next")
    store.verify()
    assert not len(store.index().find_subject(keys.subject("bert")))
    assert len(store.index().find_subject(keys.subject("anna"))) == 3  # r0, r4, new2


def test_who_was_only_taken_out_of_one_shard_may_have_new_pictures(shared, tmp_path, keys, made):
    erase(shared.path, tmp_path / "next", [keys.record("r1")])  # anna and bert live on
    more = PEOPLE | {"new": ["anna", "bert"]}
    imported = import_records(reader_of(made, more), tmp_path / "next", keys, n_buckets=8, replace=True)
    assert imported.skipped_erased == 1
    store = RecordStore.open(tmp_path / "next")
    store.verify()
    assert len(store.index().find_subject(keys.subject("bert"))) == 2


def test_the_cached_index_is_the_same(shared, tmp_path, keys):
    for _ in range(2):
        index = Index.build(shared.path, tmp_path / "cache")
        assert index.keys_at(index.find_subject(keys.subject("dora"))) == [keys.record("r4")]
    erase(shared.path, tmp_path / "next", [keys.record("r4")])
    assert prune(tmp_path / "cache", [tmp_path / "next"]) >= 1


def test_a_shard_without_such_a_picture_has_the_bytes_that_it_always_had(shared, keys):
    for path in (shared.path / "shards").iterdir():
        shard = read_shard(path)
        assert (b"more_subjects" in path.read_bytes()) == bool(len(shard.more_rows))
        assert set(json.loads(json.dumps(shard.facts()))) == {"bucket", "erased", "erased_subjects"}


def test_verify_bites(shared, keys):
    bucket = int(shared.index().buckets[shared.index().find_record(keys.record("r4"))[0]])
    path = shard_path(shared.path, bucket)
    shard = read_shard(path)
    everything = slice(None)
    breaks = {
        "names a person twice": {"more_subjects": shard.subject_keys[shard.more_rows]},
        "erased subject": {"erased_subjects": (to_hex(shard.more_subjects[:1])[0],)},
    }
    for message, change in breaks.items():
        write_shard(path, shard.rows(everything, **change))
        with pytest.raises(DataError, match=message):
            RecordStore.open(shared.path).verify()
    write_shard(path, shard)
    whole = path.read_bytes()
    assert read_facts(path).keys_digest == shard.keys_digest()
    unnoticed = []
    for position in range(0, len(whole), 11):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            found = read_shard(path)
        except DataError:
            continue
        if not np.array_equal(found.more_subjects, shard.more_subjects):
            unnoticed.append(position)
    assert unnoticed == []
