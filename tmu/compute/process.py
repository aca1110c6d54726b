"""One worker process as its parent sees it (the other side: `worker.py`)."""

import json
import os
import subprocess
import sys
from multiprocessing import Pipe
from typing import Any

from tmu.compute.crew import Work

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from tmu.compute.worker import main; main(int(sys.argv[1]))"
)


class Process:
    """Started at once. number: among the places of its crew. line: to it; at its end where the process is dead.

    variables: of its environment, over those of this process.
    """

    def __init__(self, work: Work, number: int, variables: dict[str, str]) -> None:
        self.number = number
        self.line, other = Pipe()
        command = [sys.executable, "-c", _START, str(other.fileno()), json.dumps(sys.path)]
        with other:  # closed here, so that a dead process ends the line
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[other.fileno()], env={**os.environ, **variables}
            )
        self.give(work)

    def give(self, item: Any) -> None:
        """Send an item. A process that is dead shows when it is listened to."""
        try:
            self.line.send(item)
        except (BrokenPipeError, ConnectionResetError):
            return

    def end(self, grace: float) -> None:
        """Wait until it has ended; after `grace` seconds it ends where it is."""
        self.line.close()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            assert self._process.stdin is not None  # its life line
            self._process.stdin.close()
