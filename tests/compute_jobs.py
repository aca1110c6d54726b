"""Jobs for processes side by side: a spawned process must be able to import what it is sent."""

import os
import signal
import sys
import time
from typing import Any

from tmu.errors import DataError


def double(job: int, tell: Any) -> tuple[int, int]:
    tell("job", job)
    time.sleep(0.3)  # so that one process cannot take them all
    return 2 * job, os.getpid()


def refuse_or_go_on(job: int, tell: Any) -> None:
    """Job 0 is refused; the others tell something for ever."""
    if job == 0:
        raise DataError("A half holds 1 record.", "Add people.")
    while True:
        tell("still here")
        time.sleep(0.05)


def die(job: int, tell: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait_long(job: int, tell: Any) -> None:
    tell(os.getpid())
    time.sleep(600)


def main() -> None:
    """Two processes that wait, until somebody kills this one; prints their ids."""
    from tmu.compute import side_by_side

    side_by_side(wait_long, [1, 2], 2, lambda pid: print(pid, flush=True))


if __name__ == "__main__":
    sys.exit(main())
