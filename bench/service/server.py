"""`tmu serve` as a process of its own, for measurements and tests."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SECONDS = 60


@contextmanager
def server(home: Path, log: Path, *, ledger: str | None = None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service of a workspace on a free port, ready; and its address. log: a new file that takes what it says.

    ledger: the ledger's address, else the workspace's own. Killed at the end of the block.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment |= {"TMU_LEDGER": ledger} if ledger else {}
    command = [sys.executable, "-c", "from tmu.cli import main; main()", "--home", str(home)]
    command += ["serve", "--port", "0", "--rate", "100000"]
    with log.open("wb") as err, subprocess.Popen(command, stdout=err, stderr=err, env=environment) as process:
        try:
            yield process, _address(process, log)
        finally:
            process.kill()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.findall(r"Serving on (http://\S+)", log.read_text())
        if found and "startup complete" in log.read_text():
            return found[-1]
        time.sleep(0.05)
    raise RuntimeError(log.read_text())
