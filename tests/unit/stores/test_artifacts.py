"""Artifact stores: whole or absent, verified, first writer wins; the same for a folder and for S3."""

import threading

import pytest

from tests.artifact_tools import s3
from tmu import manifest
from tmu.errors import ConfigError, StorageError
from tmu.stores.artifacts import LocalArtifacts
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.stores.open_artifacts import open_artifacts
from tmu.stores.s3_access import S3Access

IDENTITY = {"stage": "audit", "seed": 1}


def make(store, key="k1", text="numbers", run=None):
    with store.create("audit", key, IDENTITY, run) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "audit.json").write_text(text)


def test_created_artifact_is_found_whole(store):
    assert store.find("audit", "k1") is None
    run = {}
    with store.create("audit", "k1", IDENTITY, run) as folder:
        (folder / "audit.json").write_text("{}")
        run["seconds"] = 2.5
        assert store.find("audit", "k1") is None
    found = store.find("audit", "k1")
    assert sorted(path.name for path in found.iterdir()) == ["audit.json", "manifest.json", "run.json"]
    assert manifest.check(found, "audit")["identity"] == IDENTITY
    assert store.find("model", "k1") is None


def test_failed_build_leaves_nothing(store):
    with pytest.raises(RuntimeError), store.create("audit", "k1", IDENTITY) as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert store.find("audit", "k1") is None


def test_run_record_is_outside_the_digest(store):
    make(store, "a", run={"seconds": 1})
    make(store, "b", run={"seconds": 2})
    assert store.digest(store.find("audit", "a")) == store.digest(store.find("audit", "b"))


def test_second_writer_keeps_the_first(store):
    with store.create("audit", "k1", IDENTITY) as slow:
        make(store, text="first")
        (slow / "audit.json").write_text("second")
    assert (store.find("audit", "k1") / "deep" / "audit.json").read_text() == "first"


def test_fetch_verifies_the_digest(store):
    make(store)
    found = store.find("audit", "k1")
    assert store.fetch("audit/k1", store.digest(found)) == found
    with pytest.raises(StorageError, match="not the one"):
        store.fetch("audit/k1", "0" * 64)
    with pytest.raises(StorageError, match="no sound artifact"):
        store.fetch("audit/k2", store.digest(found))


def test_fetch_of_a_stage_output(store, tmp_path):
    folder = tmp_path / "out" / "audit"
    folder.mkdir(parents=True)
    (folder / "audit.json").write_text("{}")
    manifest.seal(folder, "audit", IDENTITY)
    digest = store.digest(folder)
    assert store.fetch("file:out/audit", digest) == folder
    (folder / "audit.json").write_text("[]")
    with pytest.raises(StorageError, match=r"audit\.json"):
        store.fetch("file:out/audit", digest)


@pytest.mark.parametrize(
    ("kind", "key"), [("..", "k"), ("audit", "../k"), ("audit", ""), ("", "k"), ("audit", ".lock")]
)
def test_addresses_cannot_leave_the_store(tmp_path, kind, key):
    for store in (LocalArtifacts(tmp_path), s3(tmp_path)):  # S3 is not even asked
        with pytest.raises(StorageError, match="address"):
            store.find(kind, key)


def test_damaged_local_artifact_is_not_found_and_is_replaced(tmp_path):
    store = LocalArtifacts(tmp_path)
    make(store)
    found = store.find("audit", "k1")
    (found / "deep" / "audit.json").write_text("numbers!")
    assert store.find("audit", "k1") is None
    make(store)
    assert (store.find("audit", "k1") / "deep" / "audit.json").read_text() == "numbers"


def test_unlisted_file_makes_an_artifact_unsound(tmp_path):
    store = LocalArtifacts(tmp_path)
    make(store)
    (store.find("audit", "k1") / "deep" / "extra").write_text("")
    assert store.find("audit", "k1") is None


def test_racing_threads_leave_one_whole_artifact(tmp_path):
    store, barrier = LocalArtifacts(tmp_path), threading.Barrier(8)

    def write(number):
        with store.create("audit", "k1", IDENTITY) as folder:
            (folder / "audit.json").write_text(str(number))
            barrier.wait(timeout=20)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.find("audit", "k1")
    assert sorted(path.name for path in (tmp_path / "audit").iterdir()) == [".lock", "k1"]


def test_other_machine_downloads_and_verifies(bucket, tmp_path):
    make(s3(tmp_path / "a"), run={"seconds": 1})
    other = s3(tmp_path / "b")
    found = other.find("audit", "k1")
    assert found.is_relative_to(tmp_path / "b")
    assert manifest.check(found, "audit")
    assert (found / "run.json").exists()


def test_threads_that_fetch_at_once_all_get_it(bucket, tmp_path, monkeypatch):
    make(s3(tmp_path / "a"))
    other, downloads = s3(tmp_path / "b"), []
    real = other._download
    monkeypatch.setattr(other, "_download", lambda *given: downloads.append(given) or real(*given))
    found = []
    threads = [threading.Thread(target=lambda: found.append(other.find("audit", "k1"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert set(found) == {tmp_path / "b" / "cache" / "audit" / "k1"}
    assert len(downloads) == 1


def test_manifest_is_uploaded_last(bucket, tmp_path):
    make(s3(tmp_path))
    names = [item.key for item in bucket.objects.all()]
    deciders = [name for name in names if name == "team/tmu/audit/k1/manifest.json"]
    assert len(deciders) == 1
    assert all(name.startswith("team/tmu/audit/k1/") for name in names)
    bucket.Object(deciders[0]).delete()  # as an upload that was truncated
    store = s3(tmp_path)
    assert store.find("audit", "k1") is None  # although the cache holds it
    make(store)
    assert s3(tmp_path / "b").find("audit", "k1")


@pytest.mark.parametrize("damage", ["change", "delete"])
def test_damaged_object_is_refused_and_fixed(bucket, tmp_path, damage):
    make(s3(tmp_path / "a"))
    (name,) = [item.key for item in bucket.objects.all() if item.key.endswith("audit.json")]
    if damage == "change":
        bucket.put_object(Key=name, Body=b"other")
    else:
        bucket.Object(name).delete()
    other = s3(tmp_path / "b")
    assert other.find("audit", "k1") is None
    assert not list((tmp_path / "b" / "cache" / "audit").glob("[!.]*"))  # nothing unsound enters the cache
    make(other)
    assert s3(tmp_path / "c").find("audit", "k1")


def test_manifest_from_afar_cannot_write_outside(bucket, tmp_path):
    bucket.put_object(
        Key="team/tmu/audit/k1/manifest.json",
        Body=b'{"kind": "audit", "identity": {}, "files": {"../../../evil": "00"}}',
    )
    assert s3(tmp_path).find("audit", "k1") is None
    assert not list(tmp_path.rglob("evil"))


def test_first_of_two_machines_wins(bucket, tmp_path):
    slow = s3(tmp_path / "b")
    with slow.create("audit", "k1", IDENTITY) as folder:
        make(s3(tmp_path / "a"), text="first")
        (folder / "audit.json").write_text("second")
    assert (slow.find("audit", "k1") / "deep" / "audit.json").read_text() == "first"


def test_last_moment_race_keeps_the_first(bucket, tmp_path, monkeypatch):
    """Both machines saw an empty bucket; the conditional write decides."""
    slow = s3(tmp_path / "b")
    put = slow._put

    def late(name, data, only_if_absent=False):
        if only_if_absent:
            make(s3(tmp_path / "a"), text="first")
        put(name, data, only_if_absent)

    monkeypatch.setattr(slow, "_put", late)
    make(slow, text="second")
    assert (slow.find("audit", "k1") / "deep" / "audit.json").read_text() == "first"


def test_missing_bucket_says_how_to_fix_it(bucket, tmp_path):
    store = S3Artifacts("absent", "", None, tmp_path)
    with pytest.raises(StorageError, match=r"NoSuchBucket.*AWS_"):
        store.find("audit", "k1")


def test_a_store_that_takes_nothing_says_so_and_the_question_leaves_nothing(bucket, tmp_path):
    far, near = s3(tmp_path), LocalArtifacts(tmp_path / "artifacts", tmp_path)
    far.refuse_unwritable()
    near.refuse_unwritable()
    assert not list(bucket.objects.all())
    assert not list(near.root.iterdir())
    bucket.delete()
    with pytest.raises(StorageError, match="answered NoSuchBucket"):
        far.refuse_unwritable()
    near.root.rmdir()
    near.root.write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        near.refuse_unwritable()


def test_open_chooses_the_store(tmp_path):
    assert open_artifacts(None, tmp_path).root == tmp_path / ".tmu" / "artifacts"
    assert open_artifacts("shelf", tmp_path).root == tmp_path / "shelf"
    store = open_artifacts("s3://bucket/a/b/", tmp_path, S3Access("http://localhost:1"))
    assert (store.bucket, store.prefix, store.access.endpoint_url) == ("bucket", "a/b", "http://localhost:1")
    with pytest.raises(ConfigError, match="unknown type"):
        open_artifacts("ftp://x", tmp_path)
