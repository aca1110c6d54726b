"""MD5s that are remembered: what may change unseen, and what may not."""

import os
import time

import pytest

from tmu.data import digest
from tmu.data.digest import Memo, dvc_digest, manifest


@pytest.fixture
def folder(tmp_path):
    """Two files of long ago."""
    made = tmp_path / "data"
    made.mkdir()
    for name in ("a", "b"):
        (made / name).write_bytes(name.encode() * 100)
    return made


@pytest.fixture
def memo(tmp_path, monkeypatch):
    """A memo that takes files as settled at once."""
    monkeypatch.setattr(digest, "_SETTLED", -1)
    return Memo(read=tmp_path / "md5s.json", write=tmp_path / "md5s.json")


@pytest.fixture
def hashed(monkeypatch):
    """Names of the files that were hashed."""
    names, real = [], digest.md5_file

    def noted(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(digest, "md5_file", noted)
    return names


def test_only_what_changed_is_hashed_again(folder, memo, hashed):
    whole = manifest(folder)
    hashed.clear()
    assert manifest(folder, memo) == whole and hashed == ["a", "b"]
    assert manifest(folder, memo) == whole and hashed == ["a", "b"]
    os.replace(_written(folder.parent / "new", b"x" * 100), folder / "b")  # as a deletion replaces a shard
    assert manifest(folder, memo) == manifest(folder) != whole
    assert hashed[2:] == ["b", "a", "b"]


def _written(path, content):
    path.write_bytes(content)
    return path


def test_a_change_of_the_same_length_whose_date_was_set_back_is_noticed(folder, memo):
    before = dvc_digest(folder, memo)
    path = folder / "a"
    stat = path.stat()
    with open(path, "r+b") as file:  # the same inode, the same length
        file.write(b"z")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    now = path.stat()
    assert (now.st_ino, now.st_size, now.st_mtime_ns) == (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    assert dvc_digest(folder, memo) == dvc_digest(folder) != before


def test_a_file_that_was_just_written_is_not_remembered(folder, memo, hashed, monkeypatch):
    monkeypatch.setattr(digest, "_SETTLED", 2_000_000_000)
    manifest(folder, memo)
    assert not memo.read.exists()
    monkeypatch.setattr(digest.time, "time_ns", lambda real=time.time_ns: real() + 3_000_000_000)
    manifest(folder, memo)
    hashed.clear()
    manifest(folder, memo)
    assert hashed == []


def test_a_file_that_changes_while_it_is_read_is_not_remembered(folder, memo, monkeypatch):
    real = digest.md5_file

    def slow(path):
        found = real(path)
        path.write_bytes(path.read_bytes() + b"more")
        return found

    monkeypatch.setattr(digest, "md5_file", slow)
    manifest(folder, memo)
    monkeypatch.undo()
    assert manifest(folder, memo) == manifest(folder)


def test_a_damaged_memo_counts_for_nothing(folder, memo):
    for content in (b"", b"[]", b'{"1": 2}', b"\xff"):
        memo.read.write_bytes(content)
        assert manifest(folder, memo) == manifest(folder)


def test_files_that_are_gone_are_forgotten(folder, memo):
    manifest(folder, memo)
    (folder / "a").unlink()
    (folder / "c").write_bytes(b"c")
    manifest(folder, memo)
    assert len(memo.load()) == 2
