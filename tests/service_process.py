"""`tmu serve` as a real process."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def server(home: Path, log: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """`tmu serve` as a process on a free port, ready; and its address. log: takes what it says."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from tmu.cli import main; main()", "--home", str(home)]
    command += ["serve", "--port", "0", "--rate", "10000"]
    with open(log, "wb") as err, subprocess.Popen(command, stdout=err, stderr=err, env=environment) as process:
        try:
            yield process, _address(process, log)
        finally:
            process.kill()


def _address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.findall(r"Serving on (http://\S+)", log.read_text())
        if found and "startup complete" in log.read_text():
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())
