"""Run one deletion in this process and die by SIGKILL at a named point. Called by test_crash.py as a child process.

python -m tests.integration.crash_child HOME POINT SUBJECT_KEY...
POINT `none` runs to the end and prints the outcome.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def on_call(number: int, function: Callable) -> Callable:
    """`function`, but the process dies at its n-th call."""
    calls = iter(range(1, 10**9))

    def counted(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            die()
        return function(*args, **kwargs)

    return counted


def after(function: Callable, wanted: str) -> Callable:
    """`Journal.advance`, but the process dies right after it has written the stage."""

    def wrapped(journal: Any, deletion: Any, stage: str, **facts: Any) -> Any:
        result = function(journal, deletion, stage, **facts)
        if stage == wanted:
            die()
        return result

    return wrapped


def after_fact(function: Callable, wanted: str) -> Callable:
    """`Journal.advance`, but the process dies right after it has written a fact of that name."""

    def wrapped(journal: Any, deletion: Any, stage: str, **facts: Any) -> Any:
        result = function(journal, deletion, stage, **facts)
        if wanted in facts:
            die()
        return result

    return wrapped


def plant(point: str) -> None:
    """Put the death where it belongs."""
    import tmu.data.erase as erase
    import tmu.deletion.journal as journal
    import tmu.stores.dvc as dvc
    import tmu.stores.mlflow_runs as runs
    import tmu.train.engine as engine

    if point in ("training the original", "trying rates", "training the gold"):
        engine.one_step = on_call(17, engine.one_step)
    elif point == "between two shards":
        real, calls = erase.os.replace, iter(range(1, 10**9))

        class Os:  # only this module's os.replace dies, not every file write of the process
            def __getattr__(self, name: str) -> Any:
                return getattr(os, name)

            def replace(self, *args: Any) -> None:
                if next(calls) == 3:
                    die()
                real(*args)

        erase.os = Os()
    elif point == "before DVC knows":
        dvc.DvcVersions.commit = die
    elif point in ("acknowledged", "erasing", "erased", "unlearned", "audited"):
        journal.Journal.advance = after(journal.Journal.advance, point)
    elif point in ("references", "twin"):
        journal.Journal.advance = after_fact(journal.Journal.advance, point)
    elif point == "in the middle of registering":
        runs.log_params = die
    elif point != "none":
        raise SystemExit(f"no point {point}")


def main() -> None:
    home, point, subjects = sys.argv[1], sys.argv[2], sys.argv[3:]
    import torch

    torch.set_num_threads(1)
    from flows.delete_local import delete_local_flow

    plant(point)
    print(json.dumps(delete_local_flow(home=home, subjects=subjects)))


if __name__ == "__main__":
    main()
