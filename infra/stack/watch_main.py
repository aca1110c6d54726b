"""Restart servers that run and do not answer: `python -m infra.stack.watch_main NAME=URL …`, a listener of supervisord.

Each minute every server is asked once. One that left two questions in a row unanswered is restarted; one that started
less than two minutes ago is left in peace. (superlance's httpok, made for this, restarts servers that are just
starting: its second try after a refused connection fails with an error of its own.)
"""

import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from supervisor import childutils

SECONDS_START = 120
SECONDS_ANSWER = 20.0
_MISSES = 2


def answers(url: str) -> bool:
    """Whether the address answers 200 in time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS_ANSWER) as answer:
            answer.read()  # or the server logs a broken pipe each time
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


class Watch:
    """What was asked and how often it was in vain. `servers`: health address by name."""

    def __init__(self, servers: Mapping[str, str], ask: Callable[[str], bool] = answers) -> None:
        self.servers, self.ask = servers, ask
        self.misses: Counter[str] = Counter()

    def look(self, supervisor: Any) -> list[str]:
        """Ask every server that runs long enough, and restart those that hang. → their names.

        supervisor: supervisord's interface (getAllProcessInfo, stopProcess, startProcess).
        """
        hung = []
        for facts in supervisor.getAllProcessInfo():
            name = facts["name"]
            if name not in self.servers or facts["statename"] != "RUNNING":
                continue
            young = facts["now"] - facts["start"] < SECONDS_START
            self.misses[name] = 0 if young or self.ask(self.servers[name]) else self.misses[name] + 1
            if self.misses[name] >= _MISSES:
                hung.append(name)
        for name in hung:
            self.misses[name] = 0
            supervisor.stopProcess(name)
            supervisor.startProcess(name)
        return hung


def main() -> None:
    """Listen for supervisord's minutes, for ever."""
    import os

    watch = Watch(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    supervisor = childutils.getRPCInterface(os.environ).supervisor
    while True:
        childutils.listener.wait(sys.stdin, sys.stdout)
        for name in watch.look(supervisor):
            print(f"{name} did not answer and was restarted", file=sys.stderr, flush=True)
        childutils.listener.ok(sys.stdout)


if __name__ == "__main__":
    main()
