"""Classes that go as a whole: what a store says of them, and how an erasure gets there."""

import numpy as np
import pytest

from tmu.data.digest import manifest
from tmu.data.erase import apply_in_place, erase, prepare
from tmu.data.info import STORE_FILE, StoreInfo, read_info, write_info
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import DataError
from tmu.steps.loading import examples


@pytest.fixture
def store(make_store):
    """Three classes of forty records."""
    return make_store()


def of_class(store, label):
    index = store.index()
    return index.keys_at(np.flatnonzero(index.labels == label))


def test_outputs_and_names(store):
    info = store.info.retiring([1])
    assert (info.classes, info.live, info.retired) == (
        ("class-0", "retired-1", "class-2"),
        ("class-0", "class-2"),
        (1,),
    )
    assert info.outputs.tolist() == [0, -1, 1]
    assert info.retiring([0]).outputs.tolist() == [-1, -1, 0]
    assert info.retiring([]) == info and info.retiring([1]) == info
    assert store.info.outputs.tolist() == [0, 1, 2]


@pytest.mark.parametrize("retired", [(3,), (-1,), (1, 1), (2, 1)])
def test_a_store_that_names_other_positions_is_refused(store, retired):
    with pytest.raises(ValueError, match="ascending positions"):
        StoreInfo.model_validate(store.info.model_dump() | {"retired": retired})


def test_a_store_without_a_retired_class_keeps_its_bytes(store, tmp_path):
    assert b"retired" not in (store.path / STORE_FILE).read_bytes()
    write_info(tmp_path, store.info.retiring([2]))
    assert read_info(tmp_path) == store.info.retiring([2])


def test_records_are_numbered_by_output(store):
    whole = examples(store, "train")
    left = examples(store.retiring([1]), "train")
    stays = whole.labels != 1
    assert left.keys.tolist() == whole.keys[stays].tolist()
    assert left.labels.tolist() == (whole.labels[stays] // 2).tolist() and left.images.equal(whole.images[stays])


@pytest.mark.parametrize("build", [erase, prepare])
def test_an_erasure_renames_the_class_and_nothing_else_changes(store, build, tmp_path):
    records, before = of_class(store, 1), manifest(store.path)
    made = build(store.path, tmp_path / "next", records, retire=[1])
    changed = apply_in_place(tmp_path / "next", store.path)
    assert set(changed) == {STORE_FILE, *(f"shards/{bucket:02x}.parquet" for bucket in made.shards_touched)}
    after = RecordStore.open(store.path)
    assert after.info == store.info.retiring([1]) and made.digest == after.digest()
    assert len(after.index()) == 80 and set(manifest(store.path)) == set(before)
    assert apply_in_place(tmp_path / "next", store.path) == []
    assert after.verify()["records"] == 80


def test_a_class_of_which_training_records_stay_is_not_retired(store, tmp_path):
    index = store.index()
    train = np.flatnonzero((index.labels == 1) & (index.splits == SPLITS.index("train")))
    with pytest.raises(DataError, match="other training records"):
        erase(store.path, tmp_path / "next", index.keys_at(train[1:]), retire=[1])
    erase(store.path, tmp_path / "next", index.keys_at(train), retire=[1])  # others may: no output is right for them
    assert set(examples(RecordStore.open(tmp_path / "next"), "test").labels.tolist()) == {0, 1}


def test_other_changes_of_the_description_are_no_descent(store, tmp_path):
    erase(store.path, tmp_path / "next", of_class(store, 1), retire=[1])
    info = read_info(tmp_path / "next")
    write_info(tmp_path / "next", info.model_copy(update={"dataset": "other"}))
    with pytest.raises(DataError, match="not erased from"):
        apply_in_place(tmp_path / "next", store.path)
