"""Decoded pictures beside the data: the shards' bytes, damage that is noticed, nothing that stays after an erasure."""

import errno
import gc
import os
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from tmu.data import decoded
from tmu.data.decoded import Decoding
from tmu.data.erase import erase
from tmu.data.store import RecordStore
from tmu.errors import DataError, StorageError


@pytest.fixture
def opened(make_store, tmp_path):
    make_store()

    def again(name: str = "data") -> RecordStore:
        return RecordStore.open(tmp_path / name, decoding=Decoding(tmp_path / "decoded", 0))

    return again


def _read(store: RecordStore, positions: np.ndarray) -> np.ndarray:
    out = np.zeros((len(positions), store.info.image_bytes), np.uint8)
    store.decoded(positions).read(positions, out)
    return out.reshape(len(positions), *store.info.shape)


def test_pictures_in_files_are_those_of_the_shards(opened, tmp_path):
    store = opened()
    for split in ("train", "test"):
        positions = store.positions(split)
        np.testing.assert_array_equal(_read(store, positions), store.at(positions).images)
    backwards = store.positions("train")[::-1][:7]
    np.testing.assert_array_equal(_read(opened(), backwards), store.at(backwards).images)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "decoded").glob("*.npy"))


def test_only_what_takes_more_than_the_bound_goes_to_files(make_store, tmp_path):
    make_store()
    size = 16  # bytes of a picture
    store = RecordStore.open(tmp_path / "data", decoding=Decoding(tmp_path / "decoded", 10 * size))
    assert store.decoded(np.arange(10)) is None
    assert not (tmp_path / "decoded").exists()
    assert store.decoded(np.arange(11)) is not None
    assert RecordStore.open(tmp_path / "data").decoded(np.arange(100)) is None


def test_a_shard_is_decoded_once_and_only_where_it_is_asked_for(opened, tmp_path, monkeypatch):
    store = opened()
    index = store.index()
    one = np.flatnonzero(index.buckets == index.buckets[0])
    store.decoded(one)
    assert len(list((tmp_path / "decoded").glob("*.npy"))) == 1
    monkeypatch.setattr(decoded, "new_file", lambda *_: pytest.fail("decoded again"))
    np.testing.assert_array_equal(_read(opened(), one), store.at(one).images)


def test_of_several_that_ask_at_a_time_one_decodes(opened, monkeypatch):
    stores = [opened() for _ in range(3)]
    everything = np.arange(len(stores[0].index()))
    made, real = [], decoded.new_file
    monkeypatch.setattr(decoded, "new_file", lambda path: made.append(path) or real(path))
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda store: _read(store, everything), stores))
    assert len(made) == len({*made}) == len({*stores[0].index().buckets.tolist()})
    assert all(np.array_equal(each, found[0]) for each in found)


def test_a_changed_byte_is_noticed_by_name_and_the_next_run_decodes_anew(opened, tmp_path):
    store = opened()
    everything = np.arange(len(store.index()))
    expected = _read(store, everything)
    for damage in (_flip, _cut):
        path = sorted((tmp_path / "decoded").glob("*.npy"))[2]
        damage(path)
        with pytest.raises(DataError, match=r"row \d+ of shard 0[0-7].parquet is damaged") as error:
            _read(store, everything)
        assert "decoded anew" in error.value.hint
        assert not path.exists()
        store = opened()
        np.testing.assert_array_equal(_read(store, everything), expected)


def _flip(path):
    with open(path, "r+b") as file:
        file.seek(130)
        byte = file.read(1)
        file.seek(130)
        file.write(bytes([byte[0] ^ 1]))


def _cut(path):
    os.truncate(path, 130)


def test_files_that_are_not_whole_are_made_anew(opened, tmp_path):
    everything = np.arange(len(opened().index()))
    expected = _read(opened(), everything)
    for content in (b"", b"\x93NUMPY", b"something else entirely" * 20):
        for path in (tmp_path / "decoded").glob("*.npy"):
            path.write_bytes(content)
        np.testing.assert_array_equal(_read(opened(), everything), expected)


def test_a_damaged_shard_is_named_and_leaves_nothing(opened, tmp_path):
    store = opened()
    everything = np.arange(len(store.index()))
    path = sorted((tmp_path / "data" / "shards").iterdir())[0]
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match=f"Shard {path.name} is missing, truncated or changed"):
        store.decoded(everything)
    assert [path.name for path in (tmp_path / "decoded").iterdir()] == [".lock"]


def test_a_full_disk_is_said_before_anything_is_written(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda _: namedtuple("usage", "free")(100))
    store = opened()
    with pytest.raises(StorageError, match="GiB free") as error:
        store.decoded(np.arange(len(store.index())))
    assert "stream_above_mib" in error.value.hint
    assert not list((tmp_path / "decoded").glob("*.npy"))


def test_a_store_that_changed_is_refused(opened, make_store, made, tmp_path):
    store = opened()
    everything = np.arange(len(store.index()))
    shutil.rmtree(tmp_path / "data")
    make_store(reader=made(n=119))
    with pytest.raises(DataError, match="changed while it was being read"):
        store.decoded(everything)


def test_after_an_erasure_nothing_of_the_old_shards_stays(opened, tmp_path, keys):
    store = opened()
    everything = np.arange(len(store.index()))
    erased = store.at(store.index().find_record(keys.record("r1"))).images.tobytes()
    _read(store, everything)
    erasure = erase(tmp_path / "data", tmp_path / "next", [keys.record("r1")])
    after = opened("next")
    assert len(decoded.dead(tmp_path / "decoded", [tmp_path / "next"])) == len(erasure.shards_touched)
    assert decoded.prune(tmp_path / "decoded", [tmp_path / "next"]) == len(erasure.shards_touched)
    assert not any(erased in path.read_bytes() for path in (tmp_path / "decoded").glob("*.npy"))
    left = np.arange(len(after.index()))
    np.testing.assert_array_equal(_read(after, left), after.at(left).images)
    np.testing.assert_array_equal(_read(store, everything), store.at(everything).images)  # its files are open


def test_files_are_closed_with_the_store_and_not_some_time_later(opened):
    def held() -> int:
        return sum(each.path.endswith(".npy") for each in psutil.Process().open_files())

    gc.disable()  # many stores are opened in a deletion, and each shard is a file
    try:
        before = held()
        source = opened().decoded(np.arange(120))
        assert held() > before
        out = np.zeros((1, 16), np.uint8)
        source.read(np.arange(1), out)  # without its store
        assert out.any()
        del source
        assert held() == before
    finally:
        gc.enable()


def test_too_many_open_files_are_named_and_are_no_damage(opened, monkeypatch):
    opened().decoded(np.arange(120))

    whole = decoded.Path.open

    def refused(path, *how, **more):
        if path.suffix == ".npy":
            raise OSError(errno.EMFILE, "Too many open files")
        return whole(path, *how, **more)

    monkeypatch.setattr(decoded.Path, "open", refused)
    with pytest.raises(StorageError, match=r"ulimit -n"):
        opened().decoded(np.arange(120))
