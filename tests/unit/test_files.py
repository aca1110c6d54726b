"""Whole or absent: atomic files and folders, and the sweep of what a killed process left."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tmu import files
from tmu.errors import StorageError
from tmu.files import canonical_json, new_folder, read_json, storage_errors, sweep, write_atomic, write_json


def test_a_failed_write_leaves_the_old_bytes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"old")
    monkeypatch.setattr(files.os, "fsync", _refuse)
    with pytest.raises(StorageError, match="disk is full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["f"]


def test_files_are_for_their_owner_alone_but_what_is_published(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"x")
    write_atomic(tmp_path / "published", b"x", private=False)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "published").stat().st_mode & 0o777 == 0o644


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "made") as building:
        (building / "part").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "made") as building:
        (building / "part").write_text("x")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "part").read_text() == "x"
    with new_folder(tmp_path / "made") as building:
        (building / "other").write_text("y")
    assert [item.name for item in (tmp_path / "made").iterdir()] == ["other"]


def test_the_sweep_takes_what_a_killed_process_left_and_spares_the_living(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from tmu.files import new_folder\n"
        "with new_folder(Path(sys.argv[1]) / 'data') as building:\n"
        "    (building / 'face').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    (tmp_path / ".hidden").write_text("not ours")
    with new_folder(tmp_path / "mine") as building:
        assert sweep(tmp_path) == 1
        assert not left.exists()
        assert building.exists()
    assert {item.name for item in tmp_path.iterdir()} == {".hidden", "mine"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_refusals_of_the_disk_say_how_to_go_on(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path) in caught.value.what
    assert caught.value.hint


def test_other_errors_of_the_system_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), storage_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_json_is_canonical(tmp_path: Path) -> None:
    assert canonical_json({"b": 1, "a": "ä"}) == '{"a":"ä","b":1}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
    write_json(tmp_path / "x.json", {"b": 1, "a": 2})
    assert read_json(tmp_path / "x.json") == {"a": 2, "b": 1}


def _refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_is_discarded_in_one_step_and_a_kill_in_the_middle_leaves_it_to_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tmu import files

    folder = tmp_path / "revision"
    folder.mkdir()
    (folder / "store.json").write_text("{}")
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)  # killed before it removed anything
    monkeypatch.setattr(files.os, "getpid", lambda: 2**22 + 1)  # larger than any process id
    files.discard(folder)
    assert not folder.exists() and len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    assert sweep(tmp_path) == 1 and not list(tmp_path.iterdir())
