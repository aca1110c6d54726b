"""Probes: well, wrong answer, no answer, too late; none of them says an address."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.stack import health
from tmu.prefect_api import PrefectApi


@contextmanager
def _serving(status: int, body: object = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that accepts and says nothing, as one that hangs does."""
    monkeypatch.setattr(health, "_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def nobody() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_http():
    with _serving(200) as url:
        assert health.http(url)() is None
    with _serving(503) as url:
        assert health.http(url)() == "answers 503"


@pytest.mark.parametrize("probe", [lambda port: health.http(f"http://127.0.0.1:{port}"), health.tcp])
def test_nobody_listens(probe: Callable, nobody: int):
    assert probe(nobody)() == "refuses connections"


def test_a_server_that_hangs_is_not_well(mute: int):
    assert health.http(f"http://127.0.0.1:{mute}")() == "does not answer in time"


def test_sql_refuses(nobody: int):
    pytest.importorskip("psycopg")
    said = health.sql(host="127.0.0.1", port=nobody, user="tmu", password="hidden", dbname="tmu")()
    assert said == "refuses connections"


def _worker(beat: datetime, *, status: str = "ONLINE", started: float = 0.0, name: str = "cpu-0") -> str | None:
    known = [{"name": "cpu-0", "status": status, "last_heartbeat_time": beat.isoformat()}]
    with _serving(200, known) as url:
        return health.worker(PrefectApi(url), "tmu", name, lambda: started)()


def test_a_worker_is_well_while_its_heart_beats():
    now = datetime.now(UTC)
    assert _worker(now) is None
    assert _worker(now, status="OFFLINE") == "no heartbeat"
    assert _worker(now, name="gpu-0") == "not known to the Prefect server yet"


def test_a_heartbeat_of_the_process_before_does_not_count():
    beat = datetime.now(UTC)
    assert _worker(beat, started=beat.timestamp() + 1) == "no heartbeat"


def test_a_worker_is_not_well_without_its_server(nobody: int):
    assert health.worker(PrefectApi(f"http://127.0.0.1:{nobody}"), "tmu", "cpu-0", lambda: 0)() == (
        "the Prefect server: refuses connections"
    )
