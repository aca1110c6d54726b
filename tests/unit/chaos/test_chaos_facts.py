"""What the facts are read from: real stores, in which a fault left something behind."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.chaos import facts
from tests.chaos.prefect_side import Prefect, lives
from tmu.prefect_api import PrefectApi
from tmu.workspace import Workspace

RUNS = [{"name": "left-behind", "state_type": "RUNNING", "infrastructure_pid": None, "next_scheduled_start_time": None}]


class Server(BaseHTTPRequestHandler):
    """Prefect's filters, away for the first two calls."""

    away = 2
    tasks: tuple = ()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Server.away -= 1
        body = json.dumps(RUNS if self.path.startswith("/api/flow") else self.tasks).encode()
        self.send_response(503 if Server.away >= 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def prefect() -> Iterator[Prefect]:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Prefect(PrefectApi(f"http://127.0.0.1:{server.server_port}/api"))
        server.shutdown()


@pytest.mark.slow
def test_runs_left_running_are_found_in_prefect_and_mlflow(tmp_path: Path, prefect: Prefect) -> None:
    workspace = Workspace.create(tmp_path / "w")
    run = workspace.registry.start_batch("batch 7", {}, dataset="digits")
    found = facts.running(workspace, prefect)
    assert found == ["flow run left-behind: RUNNING", "MLflow run batch 7: RUNNING"]
    workspace.registry.close(run)
    assert facts.running(workspace, prefect) == ["flow run left-behind: RUNNING"]


def test_a_server_that_is_away_is_waited_for(prefect: Prefect) -> None:
    Server.away = 2
    assert prefect.runs("RUNNING") == RUNS
    assert Server.away < 0


def test_a_run_whose_process_is_gone_serves_nothing(prefect: Prefect, monkeypatch: pytest.MonkeyPatch) -> None:
    Server.away = 0
    assert not prefect.serving()
    monkeypatch.setitem(RUNS[0], "infrastructure_pid", f"host:{os.getpid()}")
    assert lives(os.getpid()) and prefect.serving()


def test_half_built_folders_and_unpacked_revisions_are_found(tmp_path: Path) -> None:
    assert facts.leftovers(tmp_path) == []
    (tmp_path / ".tmu" / "revisions" / "0.dir").mkdir(parents=True)
    (tmp_path / ".tmu" / "cache" / "model" / ".key.building-77-abc").mkdir(parents=True)
    (tmp_path / ".tmu" / "stack" / ".log.building-77-abc").mkdir(parents=True)  # the servers' own
    assert facts.leftovers(tmp_path) == [".tmu/revisions/0.dir", ".tmu/cache/model/.key.building-77-abc"]
