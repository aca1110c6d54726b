"""DVC's command line in a process that has its imports behind it: half a second less for each command that waits.

Such a process reads one command from its standard input, carries it out as `python -m dvc` would, and ends; it ends
without one when whoever started it is gone.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tmu.permissions import OTHERS

_IMPORTED = ("dvc.cli.parser", "dvc.commands.add", "dvc.commands.data_sync", "dvc.repo", "dvc_s3", "dvc_data.index")


class Waiting:
    """Processes that wait for a command each."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, count: int) -> None:
        """So many more, or as many as the machine allows: a command that finds none has a process of its own."""
        command, pipe = [sys.executable, "-m", __name__], subprocess.PIPE
        with suppress(OSError):
            for _ in range(count):
                self._processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True))

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str] | None:
        """What a command of DVC's came to; None where no process waits for one."""
        while (process := self._taken()) is not None:
            asked = {"arguments": [*arguments], "folder": str(folder), "environment": dict(environment)}
            try:
                said, complained = process.communicate(json.dumps(asked))
            except BaseException:  # interrupted, as by Ctrl-C: the command must not go on without us
                process.kill()
                process.wait()
                raise
            if process.returncode >= 0:  # else it was killed: DVC's commands may be repeated
                return subprocess.CompletedProcess(arguments, process.returncode, said, complained)
        return None

    def close(self) -> None:
        """End those that are left."""
        while (process := self._taken()) is not None:
            process.communicate("")

    def _taken(self) -> subprocess.Popen[str] | None:
        """One that waits; two threads may ask at once."""
        with suppress(IndexError):
            return self._processes.pop()
        return None


def main() -> int:
    """Import, wait, and be DVC."""
    for name in _IMPORTED:
        with suppress(ImportError):  # DVC says so itself, where it needs it
            importlib.import_module(name)
    given = sys.stdin.read()
    if not given:
        return 0
    asked = json.loads(given)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    os.umask(OTHERS)
    from dvc.cli import main as dvc

    return int(dvc(asked["arguments"]))


if __name__ == "__main__":
    sys.exit(main())
