"""Child processes without their seconds of imports: one process imports, and forks a child for each call.

A child shares nothing with the next one but what the imports made: it starts, works and is killed as a process of its
own.

python -m tests.nursery MODULE IMPORT...        calls MODULE.main for each line of words (JSON) that it reads
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HEAVY = ("torch", "mlflow", "mlflow.pyfunc", "dvc.repo", "alembic.command", "sklearn.linear_model")
ROOT = Path(__file__).parents[1]


class Nursery:
    """Forks children that call `main` of a module. environment: theirs; seconds: after these a child is ended."""

    def __init__(self, module: str, imports: Sequence[str], environment: dict[str, str], seconds: int = 900):
        self._seconds = seconds
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery", module, *HEAVY, *imports],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)

    def call(self, *words: object) -> subprocess.CompletedProcess:
        """What `python -m MODULE WORD...` would have ended with; its code is negative where a signal ended it."""
        with tempfile.TemporaryDirectory() as folder:
            asked = {"words": [str(word) for word in words], "folder": folder, "seconds": self._seconds}
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            out, err = (Path(folder, name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess(words, code, out, err)


def _serve(module: str, imports: Sequence[str]) -> None:
    for name in (*imports, module):
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _become(module, asked)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(module: str, asked: dict) -> None:
    """The child: its own output and words; it ends as any process does."""
    signal.alarm(asked["seconds"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(asked["folder"], name), os.O_WRONLY | os.O_CREAT), number)
    sys.argv = [module, *asked["words"]]
    sys.modules[module].main()


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
