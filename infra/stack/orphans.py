"""Processes of a stack that no supervisord watches: after kill -9 of supervisord, of a worker, of this command.

They are known by a variable in their environment with the random name of the stack, never by pid files or names.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from signal import SIGKILL, SIGTERM, Signals

import psutil

from infra.stack.place import MARK, Stack
from infra.stack.server import Server, tiers
from infra.stack.supervisor import NAME


def find(stack: Stack) -> dict[int, str]:
    """What lives of this stack: the name of its server by process id."""
    start, found = stack.mark(""), {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK, "")
            if mark.startswith(start) and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = mark.removeprefix(start)
    return found


def stop(stack: Stack, servers: Sequence[Server], tell: Callable[[str], None] = lambda _: None) -> int:
    """Stop all of them, those first that others do not need; how many there were.

    supervisord is killed before all others, because it would start them again; what belongs to no server of the plan
    comes next.
    """
    found = find(stack)
    planned = {server.name: server for server in servers}
    rest = {name for name in found.values() if name not in planned and name != NAME}
    for tier in ([NAME], sorted(rest), *([server.name for server in tier] for tier in tiers(servers))):
        pids = {pid: name for pid, name in found.items() if name in tier}
        for name in sorted(set(pids.values())):
            tell(name)
        signals = {pid: planned[name].stop_signal if name in planned else SIGTERM for pid, name in pids.items()}
        seconds = max((planned[name].stop_seconds for name in tier if name in planned), default=20)
        _end({pid: SIGKILL if tier == [NAME] else sign for pid, sign in signals.items()}, seconds)
    return len(found)


def _end(signals: Mapping[int, Signals], seconds: float) -> None:
    """Send each process its signal, wait, and kill what has not ended in time."""
    for pid, sign in signals.items():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
    deadline = time.monotonic() + seconds
    while (alive := [pid for pid in signals if _lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    if alive:
        _end(dict.fromkeys(alive, SIGKILL), 10)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
