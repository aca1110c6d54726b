"""Provenance: digests follow the content, git is optional, nobody's name is in it."""

import getpass
import platform
import subprocess

import pytest

from tmu import provenance


def test_code_digest_follows_the_content(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("a = 1\n")
    (tmp_path / "single.py").write_text("b = 1\n")
    before = provenance.code_digest("room", "single")
    assert before == provenance.code_digest("single", "room")
    assert before != provenance.code_digest("room")
    (tmp_path / "room" / "notes.txt").write_text("not source")
    assert before == provenance.code_digest("room", "single")
    (tmp_path / "room" / "a.py").write_text("a = 2\n")
    assert before != provenance.code_digest("room", "single")
    changed = provenance.code_digest("room", "single")
    (tmp_path / "room" / "a.py").rename(tmp_path / "room" / "c.py")
    assert changed != provenance.code_digest("room", "single")


def test_unknown_room_is_a_fault():
    with pytest.raises(ValueError, match="attic"):
        provenance.code_digest("attic")


def test_git_state(tmp_path):
    unknown = {"commit": "unknown", "branch": "unknown", "dirty": "unknown"}
    (tmp_path / ".git").write_text("gitdir: nowhere\n")  # hides any repository above
    assert provenance.git_state(tmp_path) == unknown
    (tmp_path / ".git").unlink()
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for arguments in (["init", "-q", "-b", "main"], [*who, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    state = provenance.git_state(tmp_path)
    assert (len(state["commit"]), state["branch"], state["dirty"]) == (40, "main", "false")
    (tmp_path / "new").write_text("x")
    assert provenance.git_state(tmp_path)["dirty"] == "true"


def test_lock_digest_prefers_the_constraints(tmp_path, monkeypatch):
    (tmp_path / "tmu").mkdir()
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path / "tmu")
    installed = provenance.lock_digest.__wrapped__()
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    pinned = provenance.lock_digest.__wrapped__()
    assert len(installed) == len(pinned) == 64
    assert installed != pinned


def test_hardware_names_no_host_and_no_user():
    seen = provenance.hardware()
    assert set(seen) == {"machine", "processor", "cores", "memory_gib", "gpu", "threads", "torch"}
    assert seen["cores"] >= 1
    assert platform.node() not in map(str, seen.values())
    assert getpass.getuser() not in map(str, seen.values())


def test_now_is_utc():
    assert provenance.now().endswith("+00:00")
