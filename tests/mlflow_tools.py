"""An MLflow server of a test's own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_OFF = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@contextmanager
def mlflow_server(
    home: Path, database: str | None = None, destination: str | None = None, more: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A server's address, while the block runs. By default its SQLite file and its artifacts lie in `home`.

    more: variables of its environment.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = ["--backend-store-uri", database or f"sqlite:///{home}/mlflow.db"]
    places = [*store, "--artifacts-destination", destination or str(home / "stored")]
    command = [sys.executable, "-m", "mlflow", "server", *places, "--host", "127.0.0.1", "--port", str(port)]
    with open(home / "log", "w") as log:
        environment = os.environ | _OFF | dict(more or {})
        server = subprocess.Popen([*command, "--workers", "1"], env=environment, stdout=log, stderr=log, cwd=home)
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            answering(client, server)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def answering(client: httpx.Client, server: subprocess.Popen) -> None:
    """Wait until an MLflow server answers."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if client.get("/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail("MLflow did not start")
