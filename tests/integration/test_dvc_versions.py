"""The data room with the real DVC: what a deletion changes, what old revisions keep, and how failures are told."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tmu.data.digest import dvc_digest, manifest
from tmu.data.erase import apply_in_place, erase
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.data.readers import get_reader
from tmu.data.shards import read_shard, write_shard
from tmu.data.store import RecordStore
from tmu.errors import DataError, StorageError
from tmu.stores.dvc import DvcVersions
from tmu.stores.s3_access import S3Access

KEYS = Keys(DEMO_SECRET)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dvc_listing(root: Path, digest: str) -> dict[str, str]:
    entries = json.loads((root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_bytes())
    return {entry["relpath"]: entry["md5"] for entry in entries}


def test_a_person_deleted_from_digits(tmp_path):
    project, data = tmp_path / "project", tmp_path / "project" / "data"
    project.mkdir()
    versions = DvcVersions(project, remote_url=str(tmp_path / "remote"))
    versions.init()
    import_records(get_reader("digits"), data, KEYS, n_buckets=16)
    old_bytes = bytes_of(data)

    old = versions.commit(data)
    assert old == versions.revision(data) == dvc_digest(data)  # contract: our digest is DVC's
    assert dvc_listing(project, old) == manifest(data)

    index = RecordStore.open(data, KEYS).index()
    person = index.keys_at(index.find_subject(KEYS.subject("contributor-042")))
    erasure = erase(versions.materialise(old), project / ".tmu" / "next", person)
    changed = apply_in_place(project / ".tmu" / "next", data)
    new = versions.commit(data)
    assert new == erasure.digest != old

    before, after = dvc_listing(project, old), dvc_listing(project, new)
    touched = [f"shards/{bucket:02x}.parquet" for bucket in erasure.shards_touched]
    assert [name for name in before if before[name] != after[name]] == touched == changed
    assert set(before) == set(after) and len(touched) == 1

    shutil.rmtree(project / ".tmu" / "revisions")
    restored = versions.materialise(old)
    assert restored == project / ".tmu" / "revisions" / old
    assert bytes_of(restored) == old_bytes
    stamp = restored.stat().st_mtime_ns
    assert versions.materialise(old).stat().st_mtime_ns == stamp  # there already: used as it is

    versions.push()
    shutil.rmtree(data)
    shutil.rmtree(project / ".dvc" / "cache")
    versions.pull()
    assert dvc_digest(data) == new
    with pytest.raises(StorageError, match="not in DVC's cache"):
        versions_without(versions, old)


def test_a_commit_copies_no_file_that_did_not_change(tmp_path):
    versions, data = DvcVersions(tmp_path), tmp_path / "data"
    versions.init()
    data.mkdir()
    for name in "abc":
        (data / name).write_text(name)
    versions.commit(data)
    inodes = {path.name: path.stat().st_ino for path in data.iterdir()}
    (tmp_path / "new").write_text("other")
    os.replace(tmp_path / "new", data / "b")
    inodes["b"] = (data / "b").stat().st_ino
    assert versions.commit(data) == dvc_digest(data)
    assert {path.name: path.stat().st_ino for path in data.iterdir()} == inodes


def test_a_linked_revision_is_hashed_where_it_is_read(tmp_path):
    versions, data = DvcVersions(tmp_path), tmp_path / "data"
    versions.init()
    import_records(get_reader("digits"), data, KEYS, n_buckets=4)
    digest = versions.commit(data)
    folder, listed = versions.linked(digest)
    assert bytes_of(folder) == bytes_of(data) and listed == manifest(data)
    versions.cache = lambda: pytest.fail("DVC is asked once")
    assert versions.linked(digest) == (folder, listed)
    shard = folder / "shards" / "00.parquet"
    was = read_shard(shard)
    write_shard(shard, dataclasses.replace(was, images=255 - was.images))  # sound, with the same keys
    store = RecordStore.open(folder, KEYS, listed=listed)
    with pytest.raises(StorageError, match=r"00\.parquet of an older data revision"):
        store.load("train")
    (folder.parent / "listing").write_text("[]")
    with pytest.raises(StorageError, match=r"list of revision .* was changed"):
        versions.linked(digest)


def versions_without(versions: DvcVersions, digest: str) -> None:
    shutil.rmtree(versions.root / ".tmu" / "revisions")
    versions.materialise(digest)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A committed folder of two files; tests leave it as they find it."""
    root = tmp_path_factory.mktemp("small")
    versions = DvcVersions(root, "s3://bucket/prefix", S3Access("http://127.0.0.1:9"))
    versions.init()
    (root / "data" / "shards").mkdir(parents=True)
    (root / "data" / "store.json").write_text("{}")
    (root / "data" / "shards" / "00.parquet").write_text("shard")
    return versions, versions.commit(Path("data"))


@pytest.fixture
def cache(small, monkeypatch):
    """The small folder's cache, found without asking DVC."""
    folder = small[0].root / ".dvc/cache"
    monkeypatch.setattr(small[0], "cache", lambda: folder)
    return folder / "files/md5"


def test_settings_are_ours_and_nothing_leaves_the_project(small):
    versions, _ = small
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "config", "--list"], cwd=versions.root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {
        "core.analytics=false",
        "core.check_update=false",
        "core.no_scm=True",
        "core.remote=storage",
        "remote.storage.url=s3://bucket/prefix",
        "remote.storage.endpointurl=http://127.0.0.1:9",
        "core.site_cache_dir=.tmu/dvc-site",  # relative: a copy of the workspace leaves the original alone
    } <= set(listed)
    # the one absolute path is in the file that git ignores
    assert str(versions.root) not in (versions.root / ".dvc" / "config").read_text()
    assert (versions.root / ".tmu" / "dvc-site").is_dir()
    was = bytes_of(versions.root / ".dvc")
    versions.init()
    assert bytes_of(versions.root / ".dvc") == was


def test_init_at_the_top_of_a_git_repository_uses_it(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    DvcVersions(tmp_path).init()
    assert "no_scm" not in (tmp_path / ".dvc" / "config").read_text()
    DvcVersions(tmp_path / "inner").root.mkdir()
    DvcVersions(tmp_path / "inner").init()
    assert "no_scm" in (tmp_path / "inner" / ".dvc" / "config").read_text()


def test_failures_carry_the_reason_of_dvc(small, tmp_path):
    versions, _ = small
    with pytest.raises(StorageError, match=r"`dvc add` failed: .*nothing"):
        versions.commit(Path("nothing"))
    with pytest.raises(StorageError, match="no DVC repository"):
        DvcVersions(tmp_path).materialise("0" * 32 + ".dir")
    with pytest.raises(DataError, match=r"no nothing\.dvc"):
        versions.revision(Path("nothing"))
    with pytest.raises(DataError, match="not below"):
        versions.commit(tmp_path)
    for digest in ("../../x", "0" * 32, ""):
        with pytest.raises(DataError, match="no data revision"):
            versions.materialise(digest)


def test_a_changed_cache_is_noticed_and_nothing_is_built(small, cache):
    versions, digest = small
    md5 = manifest(versions.root / "data")["store.json"]
    for name, message in ((md5, "was changed"), (digest, "list of revision .* was changed")):
        path = cache / name[:2] / name[2:]
        was = path.read_bytes()
        os.chmod(path, 0o644)
        path.write_bytes(was + b" ")
        with pytest.raises(StorageError, match=message):
            versions.materialise(digest)
        path.unlink()
        with pytest.raises(StorageError, match="not in DVC's cache"):
            versions.materialise(digest)
        path.write_bytes(was)
        assert list((versions.root / ".tmu").glob("revisions/*")) == []


def test_a_listing_that_points_outside_is_refused(small, cache):
    import hashlib

    versions, _ = small
    content = json.dumps([{"md5": "0" * 32, "relpath": "../outside"}]).encode()
    digest = hashlib.md5(content).hexdigest() + ".dir"
    (cache / digest[:2]).mkdir(exist_ok=True)
    (cache / digest[:2] / digest[2:]).write_bytes(content)
    with pytest.raises(StorageError, match="outside its folder"):
        versions.materialise(digest)


def test_materialise_on_a_full_disk_leaves_nothing(small, cache, monkeypatch):
    import errno

    versions, digest = small

    def refuse(*_):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError, match="read-only"):
        versions.materialise(digest)
    monkeypatch.undo()
    assert list((versions.root / ".tmu").glob("revisions/*")) == []
    assert list((versions.root / ".tmu").glob("revisions/.*")) == []


def test_a_process_that_had_waited_does_what_a_new_one_does(small, monkeypatch):
    versions, digest = small
    plain, more = versions._dvc("config", "--list"), versions.root / "data" / "more"
    started = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *given, **how: started.append(given) or real(*given, **how))
    with versions.made_ready(4):
        assert "".join(f"{name}={value}\n" for name, value in versions.settings.items()).strip() == plain.strip()
        assert versions._dvc("config", "--list") == plain
        more.write_text("x")
        assert versions.commit(Path("data")) == dvc_digest(versions.root / "data") != digest
        more.unlink()
        assert versions.commit(Path("data")) == digest
        assert not started
        cached = [path for path in (versions.root / ".dvc" / "cache").rglob("*") if path.is_file()]
        assert cached and not any(path.stat().st_mode & 0o077 for path in cached)
        assert versions._dvc("config", "--list") == plain  # none waits any more
        assert len(started) == 1
    with versions.made_ready(1), pytest.raises(StorageError, match="nothing"):
        versions._dvc("add", "nothing")


def test_one_that_died_while_it_waited_is_made_up_for(small):
    versions, digest = small
    with versions.made_ready(2):
        for process in versions._waiting._processes:
            process.kill()
            process.wait()
        assert versions.commit(Path("data")) == digest


def test_settings_that_could_not_be_asked_for_are_asked_for_again(small, monkeypatch):
    versions = DvcVersions(small[0].root)  # one that knows no settings yet

    def away(*_):
        raise StorageError("DVC was killed.", "Run the same command again.")

    with monkeypatch.context() as outage:
        outage.setattr(versions, "_dvc", away)
        with versions.made_ready(1), pytest.raises(StorageError, match="was killed"):
            _ = versions.settings
    assert versions.settings["core.remote"]
