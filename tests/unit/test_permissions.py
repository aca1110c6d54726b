"""Permissions: found where others can look, closed without touching the owner's, and never through a link."""

import os
from pathlib import Path

import pytest

from tmu.errors import ConfigError
from tmu.files import new_folder, scratch_folder, sweep, write_atomic
from tmu.permissions import exposed, tighten
from tmu.stores.lock import locked
from tmu.workspace import Workspace


@pytest.fixture(params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def loose(request: pytest.FixtureRequest) -> None:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_what_is_open_is_found_and_closed_and_the_owner_keeps_the_rest(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    place = tmp_path / "w"
    (place / "a").mkdir(parents=True)
    (place / "a" / "object").write_text("x")
    (place / "link").symlink_to(outside)
    for path, mode in ((place, 0o755), (place / "a", 0o777), (place / "a" / "object", 0o444)):
        path.chmod(mode)
    assert exposed(place) == [place, place / "a", place / "a" / "object"]
    assert tighten(place, place / "absent", place / "link") == 3
    assert [oct(path.stat().st_mode & 0o777) for path in (place, place / "a", place / "a" / "object")] == [
        "0o700", "0o700", "0o400",
    ]  # fmt: skip
    assert outside.stat().st_mode & 0o777 == 0o644
    assert exposed(place) == []


def test_what_we_write_is_private_whatever_the_umask(loose: None, tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"x")
    with new_folder(tmp_path / "folder") as building:
        (building / "inner").mkdir()
        (building / "inner" / "file").write_text("x")
    with locked(tmp_path / "lock"):
        pass
    assert exposed(tmp_path / "file", tmp_path / "folder", tmp_path / "lock") == []
    with scratch_folder(tmp_path) as made:
        assert exposed(made) == []
    assert not made.exists()


def test_scratch_is_gone_after_an_error_and_swept_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError), scratch_folder(tmp_path) as made:
        raise KeyError
    assert not made.exists()
    with monkeypatch.context() as patch:
        patch.setattr("tmu.files.os.getpid", lambda: 2**22 + 1)  # larger than any process id
        patch.setattr("tmu.files.shutil.rmtree", lambda *_, **__: None)
        with scratch_folder(tmp_path):
            pass
    assert sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_workspace_is_private_from_its_first_byte(loose: None, tmp_path: Path) -> None:
    from tmu.steps.import_data import import_data

    workspace = Workspace.create(tmp_path / "w")
    assert exposed(tmp_path / "w") == []
    import_data(workspace, "digits", {}, holdout=0.35, test=0.35)
    assert exposed(tmp_path / "w") == []
    assert (tmp_path / "w" / "data" / "store.json").exists()


@pytest.mark.slow
def test_completing_a_folder_closes_what_is_ours_and_leaves_the_rest(loose: None, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "shard").write_text("a face")
    (folder / "mine").write_text("the user's own file")
    (folder / "mine").chmod(0o644)
    Workspace.create(folder)
    assert exposed(folder) == [folder / "mine"]
    assert folder.stat().st_mode & 0o777 == 0o700  # nobody gets past it


def test_a_folder_of_all_accounts_becomes_no_workspace(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(ConfigError, match="shared by all accounts"):
        Workspace.create(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_doctor_finds_and_closes_what_was_opened(tmp_path: Path) -> None:
    from tmu.cli.upkeep import permissions

    workspace = Workspace.create(tmp_path / "w")
    assert permissions(workspace).state == "ok"
    workspace.root.chmod(0o755)
    (workspace.root / "params.yaml").chmod(0o644)
    found = permissions(workspace)
    assert (found.state, found.text) == ("fail", "open to other accounts: the workspace itself, params.yaml")
    assert found.repair() == "2 files and folders were closed to others"
    assert permissions(workspace).state == "ok"


@pytest.mark.slow
def test_the_doctor_frees_dvc_from_a_fixed_folder(tmp_path: Path) -> None:
    from tmu.cli.upkeep import movable

    workspace = Workspace.create(tmp_path / "w")
    assert movable(workspace).state == "ok"
    local = workspace.root / ".dvc" / "config.local"
    local.write_text(f"[core]\n    site_cache_dir = {workspace.root}/.tmu/dvc-site\n")
    found = movable(workspace)
    assert found.state == "fail"
    found.repair()
    assert movable(workspace).state == "ok"
    assert str(workspace.root) not in local.read_text()
