"""What killed processes left half built goes, wherever the settings put the artifacts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tmu.errors import StorageError
from tmu.steps.tidy import tidy
from tmu.stores.owner import MARK, Owner
from tmu.workspace import Workspace


@pytest.mark.parametrize("elsewhere", [False, True])
def test_half_built_artifacts_of_the_dead_go_and_those_of_the_living_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    if elsewhere:
        monkeypatch.setenv("TMU_ARTIFACTS", str(tmp_path / "store"))
    workspace = Workspace.create(tmp_path / "w")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, living = (workspace.artifacts.root / "answers" / f".a.building-{pid}-x" for pid in (dead.pid, os.getpid()))
    for folder in (left, living):
        folder.mkdir(parents=True)
        (folder / "answers.safetensors").write_bytes(b"what a model said of somebody")
    assert tidy(workspace)["leftovers"] == 1
    assert living.exists() and not left.exists()


def test_a_store_of_another_workspace_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMU_ARTIFACTS", str(tmp_path / "store"))
    workspace = Workspace.create(tmp_path / "w")
    (tmp_path / "store").mkdir(exist_ok=True)
    (tmp_path / "store" / MARK).write_bytes(Owner(id="a" * 32, name="theirs").as_bytes())
    with pytest.raises(StorageError, match="belongs to the workspace `theirs`"):
        tidy(workspace)
