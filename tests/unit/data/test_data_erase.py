import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tmu.data.digest import dvc_digest, manifest
from tmu.data.erase import apply_in_place, erase
from tmu.data.info import shard_path
from tmu.data.shards import read_shard, write_shard
from tmu.data.store import RecordStore
from tmu.errors import DataError, RequestError, StorageError


def person(store, keys, name):
    index = store.index()
    return index.keys_at(index.find_subject(keys.subject(name)))


def test_one_person_touches_one_shard(make_store, tmp_path, keys):
    store = make_store()
    erasure = erase(store.path, tmp_path / "next", person(store, keys, "person-3"))
    before, after = manifest(store.path), manifest(tmp_path / "next")
    changed = [name for name in before if before[name] != after[name]]
    assert changed == [f"shards/{bucket:02x}.parquet" for bucket in erasure.shards_touched] and len(changed) == 1
    assert set(before) == set(after)
    untouched = next(name for name in before if name not in changed)
    assert os.stat(store.path / untouched).st_ino == os.stat(tmp_path / "next" / untouched).st_ino
    assert erasure.subjects == (keys.subject("person-3"),) and len(erasure.records) == 6
    assert erasure.digest == RecordStore.open(tmp_path / "next").digest()
    RecordStore.open(tmp_path / "next").verify()


def test_untouched_rows_of_a_rewritten_shard_are_the_same_bytes(make_store, tmp_path, keys):
    store = make_store()
    erasure = erase(store.path, tmp_path / "next", [keys.record("r3")])
    was, now = (read_shard(shard_path(path, erasure.shards_touched[0])) for path in (store.path, tmp_path / "next"))
    kept = np.isin(was.record_keys, now.record_keys)
    assert kept.sum() == len(kept) - 1
    for name in ("record_keys", "subject_keys", "labels", "splits", "images"):
        assert getattr(was, name)[kept].tobytes() == getattr(now, name).tobytes()


def test_part_of_a_person_leaves_no_tombstone_of_the_person(make_store, tmp_path, keys):
    store = make_store()
    records = person(store, keys, "person-3")
    assert erase(store.path, tmp_path / "part", records[:-1]).subjects == ()
    last = erase(tmp_path / "part", tmp_path / "all", records)
    assert last.subjects == (keys.subject("person-3"),) and last.already_erased == 5
    erase(store.path, tmp_path / "once", records)
    assert dvc_digest(tmp_path / "all") == dvc_digest(tmp_path / "once")


def test_unknown_record_stops_everything(make_store, tmp_path, keys):
    store = make_store()
    with pytest.raises(RequestError, match="1 of 2 records"):
        erase(store.path, tmp_path / "next", [keys.record("r1"), keys.record("nobody")])
    assert not (tmp_path / "next").exists()


def test_source_is_not_changed_and_a_bad_disk_leaves_nothing(make_store, tmp_path, keys, monkeypatch):
    import errno

    store = make_store()
    digest = store.digest()
    erase(store.path, tmp_path / "next", [keys.record("r1")])
    assert store.digest() == digest
    shutil.rmtree(tmp_path / "next")

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="full"):
        erase(store.path, tmp_path / "next", [keys.record("r1")])
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_where_links_are_refused_files_are_copied(make_store, tmp_path, keys, monkeypatch):
    store = make_store()
    erase(store.path, tmp_path / "linked", [keys.record("r1")])

    def refuse(*_):
        raise OSError(18, "cross-device")

    monkeypatch.setattr(os, "link", refuse)
    erase(store.path, tmp_path / "copied", [keys.record("r1")])
    assert dvc_digest(tmp_path / "copied") == dvc_digest(tmp_path / "linked")


def test_apply_in_place_survives_a_kill_between_any_two_files(make_store, tmp_path, keys):
    store = make_store()
    erasure = erase(store.path, tmp_path / "next", [keys.record(f"r{number}") for number in (1, 2, 3)])
    n_changed = len(erasure.shards_touched)
    assert n_changed == 3
    for survivors in range(n_changed):
        data = tmp_path / f"try{survivors}"
        shutil.copytree(store.path, data)
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "next"), str(data), str(survivors)])
        assert killed.returncode == -9
        RecordStore.open(data).verify()  # readable half-way
        assert len(apply_in_place(tmp_path / "next", data)) == n_changed - survivors
        assert dvc_digest(data) == erasure.digest
        assert apply_in_place(tmp_path / "next", data) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from tmu.data.erase import apply_in_place
real, left = os.replace, [int(sys.argv[3])]
def replace(source, target):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    real(source, target)
os.replace = replace
apply_in_place(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_revision_of_another_line_is_not_applied(make_store, made, tmp_path, keys):
    """Two deletions from the same revision: applying the second would bring the first one's records back."""
    store = make_store()
    erase(store.path, tmp_path / "one", [keys.record("r1")])
    erase(store.path, tmp_path / "two", [keys.record("r21")])  # the same person, the same shard
    original = tmp_path / "original"
    shutil.copytree(store.path, original)
    apply_in_place(tmp_path / "one", store.path)
    other = make_store("other", reader=made(60)).path
    digest = store.digest()
    for revision in (tmp_path / "two", original, other):
        with pytest.raises(DataError, match="not erased from"):
            apply_in_place(revision, store.path)
        assert dvc_digest(store.path) == digest


def test_apply_in_place_on_a_full_disk(make_store, tmp_path, keys, monkeypatch):
    store = make_store()
    digest = store.digest()
    erase(store.path, tmp_path / "next", [keys.record("r1")])

    def full(_, target):
        target.write_bytes(b"half of the shard")
        raise OSError(28, "full")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError):
        apply_in_place(tmp_path / "next", store.path)
    assert store.digest() == digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "next"]


def test_a_revision_that_forgot_a_tombstone_is_refused(make_store, tmp_path, keys):
    store = make_store()
    erasure = erase(store.path, tmp_path / "next", [keys.record("r3")])
    apply_in_place(tmp_path / "next", store.path)
    amnesiac = tmp_path / "amnesiac"
    shutil.copytree(store.path, amnesiac)
    path = shard_path(amnesiac, erasure.shards_touched[0])
    shard = read_shard(path)
    write_shard(path, shard.rows(np.ones(len(shard.record_keys), bool), erased=(), erased_subjects=()))
    with pytest.raises(DataError, match="was not erased from"):
        apply_in_place(amnesiac, store.path)
    assert RecordStore.open(store.path).index().is_erased(keys.record("r3"))
