"""kill -9 of a process with a temporary Prefect server: the server ends, too."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE = 15.0  # seconds; the server gives itself five to stop in good order
CHILD = """
import os, signal, sys
from flows.runtime import prepare
prepare(sys.argv[1])
from prefect.client.orchestration import get_client
from prefect.server.api.server import SubprocessASGIServer
with get_client(sync_client=True) as client:
    assert client.hello().status_code == 200
server = SubprocessASGIServer()
print(server.port, server.server_process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of the temporary server of a process that has just been killed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    (tmp_path / ".tmu").mkdir()  # what of a workspace Prefect needs
    with (tmp_path / "out").open("w") as out:  # a pipe would stay open for as long as the server lives
        died = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], env=clean, stdout=out, timeout=200)
    assert died.returncode == -signal.SIGKILL
    port, process = map(int, (tmp_path / "out").read_text().split())
    yield port, process
    if _lives(process):
        os.kill(process, signal.SIGKILL)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # dead, though nobody has asked for its exit status


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_no_server_stays_behind(killed: tuple[int, int]) -> None:
    port, process = killed
    end = time.monotonic() + PATIENCE
    while (_lives(process) or _answers(port)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not _lives(process)
    assert not _answers(port)
