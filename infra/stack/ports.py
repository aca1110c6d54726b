"""Ports on the loopback: which are free, and which a server of ours wants."""

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from tmu.errors import ConfigError

LOOPBACK = "127.0.0.1"
DEFAULTS = {"postgres": 5432, "s3": 9000, "ceph_mon": 6789, "prefect": 4200, "mlflow": 5000, "api": 8080}


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(first: int | None = None) -> dict[str, int]:
    """A free port a server: its default or the next free one; with `first` that one and those after it."""
    wanted = dict(DEFAULTS) if first is None else {name: first + at for at, name in enumerate(DEFAULTS)}
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        chosen[name] = next_free(port, chosen.values())
    return chosen


def next_free(port: int, taken: Iterable[int] = ()) -> int:
    """The first free port from `port` on that is not in `taken`. Raises ConfigError where there is none."""
    taken = set(taken)
    for candidate in range(port, min(port + 1000, 65536)):
        if candidate not in taken and is_free(candidate):
            return candidate
    raise ConfigError(f"No free port from {port} on.", "Name another with --first-port.")


def port_of(address: str, setting: str) -> int:
    """The port of an address on this machine. Raises ConfigError for one that our servers cannot listen on."""
    parts = urlsplit(address)
    if parts.hostname not in (LOOPBACK, "localhost") or parts.port is None:
        raise ConfigError(
            f"Setting `{setting}` names no port of this machine ({LOOPBACK}).",
            "`make up` serves on this machine alone: take that setting out of tmu.toml and the environment.",
        )
    return parts.port
