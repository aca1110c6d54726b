"""How steps make artifacts: once, whole, in the workspace's lane."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tmu.settings import Settings
from tmu.steps.making import identity_of, make
from tmu.stores.artifacts import LocalArtifacts


@pytest.fixture
def workspace(tmp_path: Path) -> SimpleNamespace:
    settings = Settings(threads=2)
    return SimpleNamespace(root=tmp_path, settings=settings, artifacts=LocalArtifacts(tmp_path / "artifacts", tmp_path))


def test_the_same_identity_is_built_once(workspace: SimpleNamespace) -> None:
    built = []

    def build(folder: Path, run: dict) -> None:
        built.append(1)
        (folder / "x").write_text("x")

    identity = identity_of("stage", ("tmu.train.order",), data="d")
    first, second = (make(workspace, "kind", identity, build) for _ in range(2))
    assert first == second
    assert built == [1]
    other = make(workspace, "kind", identity_of("stage", ("tmu.train.order",), data="e"), build)
    assert other[0] != first[0]
    assert built == [1, 1]


def test_a_build_that_fails_leaves_nothing(workspace: SimpleNamespace) -> None:
    def build(folder: Path, run: dict) -> None:
        (folder / "x").write_text("half")
        raise RuntimeError

    for out in (None, "out/x"):
        with pytest.raises(RuntimeError):
            make(workspace, "kind", identity_of("stage", ("tmu.train.order",)), build, out)
    assert not [path for path in workspace.root.rglob("*") if path.name == "x"]


def test_a_build_runs_with_the_settings_threads_and_exactly(workspace: SimpleNamespace) -> None:
    seen = []

    def build(folder: Path, run: dict) -> None:
        seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))

    make(workspace, "kind", identity_of("stage", ("tmu.train.order",)), build)
    assert seen == [(2, True)]
    assert torch.get_num_threads() == 1
    assert not torch.are_deterministic_algorithms_enabled()
