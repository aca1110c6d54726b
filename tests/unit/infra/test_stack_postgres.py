"""PostgreSQL's folder: its own user gets there, whatever the umask of the process that made it."""

import os
import stat
from pathlib import Path

from infra.stack.postgres import make_passable


def test_the_way_to_the_data_is_passable_under_a_private_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_passable(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")} == {0o711}
