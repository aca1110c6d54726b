"""A call with two lengths gets one answer from Prefect's and MLflow's servers, started as their launchers start them.

The launchers' own applications need their databases; a small one stands in. The protocol before it is what is tried.
"""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, temporary_settings
from starlette.applications import Starlette

from infra.stack import mlflow_main, prefect_main
from infra.stack.place import ROOT
from infra.stack.ports import LOOPBACK

LENGTHS = [b"Content-Length: 5", b"Transfer-Encoding: chunked"]
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class Started(Exception):
    """Thrown where a launcher would become the server."""


def _as_launched_by_mlflow(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """uvicorn's command line, with a small application in the place of MLflow's."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execvpe", lambda _, command, __: commands.append(command))
    command = [sys.executable, "-m", "uvicorn", "--host", LOOPBACK, "--port", "0", "mlflow.server.fastapi_app:app"]
    mlflow_main.become(command, extra_env={})
    return [*commands[0][:-1], "starlette.applications:Starlette"]


@contextmanager
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """MLflow's server; its port."""
    command = _as_launched_by_mlflow(monkeypatch)
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = next(line for line in process.stderr if "running on" in line)
            yield int(said.partition(f"{LOOPBACK}:")[2].split()[0])
        finally:
            process.terminate()


@contextmanager
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Prefect's server; its port."""
    asked: dict[str, Any] = {}

    def run(app: Any, **settings: Any) -> None:
        asked.update(settings, app=app)
        raise Started

    monkeypatch.setattr(uvicorn, "run", run)
    monkeypatch.setattr("prefect.server.api.server.create_app", lambda **_: Starlette())
    monkeypatch.setattr(sys, "argv", ["prefect_main", "0"])
    login = {PREFECT_SERVER_API_AUTH_STRING: "tmu:a-password-for-this-test"}
    with temporary_settings(login), pytest.raises(Started):
        prefect_main.main()
    server = uvicorn.Server(uvicorn.Config(**asked))
    with socket.create_server((LOOPBACK, 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


def _exchange(port: int, sent: bytes) -> bytes:
    """All that comes back until the server closes the connection. Raises TimeoutError where it does not."""
    with socket.create_connection((LOOPBACK, port), timeout=5) as caller:
        caller.sendall(sent)
        return b"".join(iter(lambda: caller.recv(10_000), b""))


@pytest.mark.parametrize("launched", [mlflow, prefect])
def test_a_call_with_two_lengths_is_answered_once_and_refused(launched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with launched(monkeypatch) as port:
        assert _exchange(port, HIDDEN).startswith(b"HTTP/1.1 404 ")  # it works, and answers calls with one length
        for lengths in (LENGTHS, LENGTHS[::-1]):
            call = b"\r\n".join([b"POST / HTTP/1.1", b"Host: 127.0.0.1", *lengths, b"", b"0\r\n\r\n"])
            answer = _exchange(port, call + HIDDEN)
            assert (answer.count(b"HTTP/1.1 "), answer[:13]) == (1, b"HTTP/1.1 400 ")
