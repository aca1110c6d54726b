"""Servers on this machine are reached directly, whatever proxy the environment names for the rest of the world."""

import os

_HERE = ("127.0.0.1", "localhost", "::1")


def exempt_loopback() -> None:
    """Name this machine in NO_PROXY, for this process and its children; what stands there already stays."""
    for variable in ("NO_PROXY", "no_proxy"):  # requests reads the one, httpx and curl the other first
        named = [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]
        if "*" not in named:
            os.environ[variable] = ",".join([*named, *(host for host in _HERE if host not in named)])
