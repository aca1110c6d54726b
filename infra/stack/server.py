"""What a server is to the stack: a command with its environment, how it is asked for its health, what it needs."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Probe = Callable[[], str | None]
"""Ask for health: None is well, a sentence says what is wrong. It takes seconds at most and raises nothing."""


def _nothing() -> None: ...


@dataclass(frozen=True)
class Server:
    """One supervised process.

    `environment`: what it gets beside the variables that all processes of the stack have.
    `before` and `after` run at each start, around the first healthy answer; both may be repeated.
    `watched`: an address that must answer 200, or supervisord restarts the server although it runs.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    probe: Probe
    needs: Sequence[str] = ()
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing
    user: str | None = None
    folder: str = "/"
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 20
    port: int | None = None
    page: str | None = None
    watched: str | None = None
    label: str = field(default="")


def tiers(servers: Sequence[Server]) -> list[list[Server]]:
    """The order in which to stop: each server before those that it needs; those of one tier may stop at once."""
    depth: dict[str, int] = {}
    for server in servers:  # what is needed comes first in a plan
        depth[server.name] = 1 + max((depth[name] for name in server.needs), default=-1)
    return [
        [server for server in servers if depth[server.name] == level]
        for level in sorted(set(depth.values()), reverse=True)
    ]
