"""A disk of limited size is really filled, and free again afterwards."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos import ground


@contextmanager
def mounted(home: Path, size: str) -> Iterator[None]:
    """A disk of that size at `home`; the test is skipped where none can be had."""
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a disk of limited size needs root")
    with ground.disk(home, size) as why_not:
        if why_not:
            pytest.skip(f"no disk can be mounted here: {why_not}")
        yield


def test_a_full_disk_takes_no_byte_until_it_is_freed(tmp_path: Path) -> None:
    home = tmp_path / "disk"
    with mounted(home, "4m"):
        (home / "first").write_bytes(b"x")
        assert ground.fill(home) > 3 << 20
        with pytest.raises(OSError) as error:
            (home / "second").write_bytes(b"x")
        assert error.value.errno == errno.ENOSPC
        ground.free(home)
        (home / "third").write_bytes(bytes(1 << 20))
    assert not (home / "third").exists()


@pytest.mark.slow
def test_nothing_is_set_going_onto_a_full_disk(tmp_path: Path) -> None:
    """`reconcile` asks whether the stores answer before it lets an attempt begin; so does a disk without room."""
    from tmu.steps.reconcile import stores_answer
    from tmu.workspace import Workspace

    home = tmp_path / "disk"
    with mounted(home, "64m"):
        ground.make(home, tmp_path / "stack")
        workspace = Workspace.open(home)
        assert stores_answer(workspace) is None
        ground.fill(home)
        assert stores_answer(workspace).startswith("The disk is full")
        ground.free(home)
        assert stores_answer(workspace) is None
