"""Which folder a process may open as its workspace."""

from pathlib import Path

import pytest

from tmu.errors import ConfigError
from tmu.workspace import Workspace


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace that this process is bound to."""
    home = Workspace.create(tmp_path / "ours").root
    monkeypatch.setenv("TMU_HOME", str(home))
    monkeypatch.setenv("TMU_ONLY_HOME", "1")
    return home


def test_a_bound_process_opens_its_workspace_however_it_is_named(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = ours.with_name("link")
    link.symlink_to(ours)
    for name in (None, "", ours, str(ours), link, ours / ".tmu" / ".."):
        assert Workspace.open(name).root == ours
    assert Workspace.open().reread().root == ours
    monkeypatch.setenv("TMU_HOME", str(link))
    assert Workspace.open().root == ours


def test_a_bound_process_opens_no_other_workspace(ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Workspace.create(tmp_path / "other").root
    for name in (other, str(other), f"{ours}/../other", ours / ".tmu", tmp_path):
        with pytest.raises(ConfigError, match=f"TMU_HOME \\({ours}\\) alone") as refused:
            Workspace.open(name)
        assert "`home` empty" in refused.value.hint
    monkeypatch.chdir(other)
    with pytest.raises(ConfigError, match="alone"):
        Workspace.open(".")
    monkeypatch.delenv("TMU_ONLY_HOME")
    assert Workspace.open(other).root == other


def test_a_bound_process_without_tmu_home_opens_nothing(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMU_HOME")
    monkeypatch.chdir(ours)
    for name in (None, "", ours):
        with pytest.raises(ConfigError, match="not set"):
            Workspace.open(name)
