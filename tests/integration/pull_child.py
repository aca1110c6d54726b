"""A pull that is killed by SIGKILL after so many bytes: WORKSPACE REQUEST FOLDER BYTES."""

import os
import signal
import sys
from pathlib import Path

from tmu.steps.pull import pull
from tmu.workspace import Workspace

root, request, folder, most = sys.argv[1:]


def report(done: int, total: int | None) -> None:
    if done >= int(most):
        os.kill(os.getpid(), signal.SIGKILL)


pull(Workspace.open(root), request, Path(folder), report)
