"""A run in a process that waited for it is alive as long as that process is: its environment does not name the run."""

import subprocess
import sys
from types import SimpleNamespace

from infra.prefect_ops.zombies import _in_spare


def test_a_spare_that_lives_counts_and_nothing_else_does() -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    for words, expected in ((["infra.stack.spare_main"], True), ([], False)):
        with subprocess.Popen([*sleeping, *words]) as process:
            run = SimpleNamespace(infrastructure_pid=f"host:{process.pid}")
            assert _in_spare(run) is expected
            process.kill()
        assert _in_spare(run) is False
    assert _in_spare(SimpleNamespace(infrastructure_pid=None)) is False
