"""Jobs for processes side by side: a worker must be able to import what it is sent."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tmu.errors import DataError


def double(job: int, tell: Any) -> tuple[int, int]:
    tell("job", job)
    time.sleep(0.3)  # so that one process cannot take them all
    return 2 * job, os.getpid()


def refuse_or_go_on(job: int, tell: Any) -> None:
    """Job 0 is refused; the others tell something for ever."""
    if job == 0:
        raise DataError("A half holds 1 record.", "Add people.", ["a line for the terminal"])
    while True:
        tell("still here")
        time.sleep(0.05)


def divide(job: int, tell: Any) -> float:
    return 1 / job


def give_what_cannot_be_sent(job: int, tell: Any) -> Any:
    return threading.Lock() if job == 0 else job


def die(job: int, tell: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(job: tuple[str, int], tell: Any) -> int:
    """Job 1 is killed the first time; the folder tells how often each was begun."""
    folder, number = job
    begun = len(list(Path(folder).glob(f"{number}-*")))
    Path(folder, f"{number}-{begun}").touch()
    if number == 1 and begun == 0:
        die(number, tell)
    return 10 * number


def surroundings(job: int, tell: Any) -> tuple[str | None, str | None, bytes]:
    """What a worker has in its environment, and what it reads from standard input."""
    time.sleep(0.3)
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES"), sys.stdin.buffer.read()


def wait_long(job: int, tell: Any) -> None:
    tell(os.getpid())
    time.sleep(600)


def listening() -> set[str]:
    """The addresses at which this process and all its children listen."""
    found = set()
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            found |= {each.laddr.ip for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
    return found


def main() -> None:
    """Two processes that wait, until somebody kills this one; prints their ids."""
    from tmu.compute import Local, Resources, side_by_side

    side_by_side(Local(2), wait_long, [1, 2], Resources(), lambda pid: print(pid, flush=True))
