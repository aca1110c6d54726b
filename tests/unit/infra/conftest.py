"""A stack that was set up and never started."""

from pathlib import Path

import pytest

from infra.stack import secret_file
from infra.stack.place import Stack


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack of an empty folder, with moto, so that it needs no Ceph."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / ".tmu").mkdir(mode=0o700)
    secret_file.ensure(tmp_path, s3="moto", first_port=22000)
    return Stack.open(tmp_path)
