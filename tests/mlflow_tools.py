"""An MLflow server of a test's own."""

import subprocess
import time

import httpx
import pytest


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
