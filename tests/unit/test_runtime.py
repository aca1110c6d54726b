"""Which Prefect server a flow talks to: the variable, else the setting, else none; what is said of one that is away."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest import mock

import pytest

from flows import runtime
from tmu.errors import StorageError
from tmu.settings import STACK

SET = "http://127.0.0.1:4999/api"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".tmu").mkdir()
    (tmp_path / STACK).write_text(f'prefect_api_url = "{SET}"\n')
    return tmp_path


def _prepared(home: str, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "TMU_"))}
    with mock.patch.dict(os.environ, {**kept, **variables}, clear=True):
        runtime.prepare(home)
        return dict(os.environ)


def test_the_setting_names_the_server(home: Path) -> None:
    prepared = _prepared(str(home))
    assert prepared["PREFECT_API_URL"] == SET
    assert prepared["PREFECT_LOCAL_STORAGE_PATH"] == str(home / ".tmu" / "prefect" / "results")


def test_no_home_means_the_workspace_of_the_variable(home: Path) -> None:
    assert _prepared("", TMU_HOME=str(home))["PREFECT_API_URL"] == SET


def test_the_variable_wins(home: Path) -> None:
    assert _prepared(str(home), PREFECT_API_URL="http://other/api")["PREFECT_API_URL"] == "http://other/api"


def test_without_either_there_is_no_server_and_none_can_be_started(tmp_path: Path) -> None:
    prepared = _prepared(str(tmp_path))
    assert "PREFECT_API_URL" not in prepared
    assert prepared["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"
    assert prepared["PREFECT_HOME"] == str(tmp_path / ".tmu" / "prefect")


def test_this_machine_is_reached_without_a_proxy_and_what_was_exempt_stays(tmp_path: Path) -> None:
    prepared = _prepared(str(tmp_path), NO_PROXY="store.example")
    assert prepared["NO_PROXY"].split(",") == ["store.example", "127.0.0.1", "localhost", "::1"]
    assert _prepared(str(tmp_path), NO_PROXY="*")["NO_PROXY"] == "*"


class _Health(BaseHTTPRequestHandler):
    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Health]]]:
    handler = type("Handler", (_Health,), {})
    http = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/api", handler
    http.shutdown()
    http.server_close()


def test_a_server_that_answers_is_used(server: tuple[str, type[_Health]], monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow

    monkeypatch.setenv("PREFECT_API_URL", server[0])
    called = []

    class Recorded:
        def __call__(self, **given: object) -> str:
            called.append(given)
            return "a run"

    assert runtime.run_flow(Recorded(), n=1) == "a run" and called == [{"n": 1}]
    monkeypatch.delenv("PREFECT_API_URL")

    @flow
    def double(n: int, factor: int = 2) -> int:
        return n * factor

    assert runtime.run_flow(double, n="4") == 8  # no server: a plain call, with the parameters checked


def test_a_server_that_is_away_is_waited_for_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr(runtime, "PATIENCE", 0.5)
    with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:9/api does not answer: .*refused"):
        runtime.run_flow(lambda: pytest.fail("ran"))
    assert capsys.readouterr().err.count("Waiting for the Prefect server at http://127.0.0.1:9/api") == 1


def test_a_server_that_is_not_well_is_named_with_its_answer(
    server: tuple[str, type[_Health]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server[1].code = 503
    monkeypatch.setenv("PREFECT_API_URL", server[0])
    monkeypatch.setattr(runtime, "PATIENCE", 0.0)
    with pytest.raises(StorageError, match="it answered 503"):
        runtime.run_flow(lambda: pytest.fail("ran"))


def test_a_dead_proxy_in_between_is_named_without_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.invalid/api")
    monkeypatch.setattr(runtime, "PATIENCE", 0.0)
    with pytest.raises(StorageError, match=r"through the proxy 127\.0\.0\.1:9") as found:
        runtime.run_flow(lambda: pytest.fail("ran"))
    assert "secret" not in str(found.value)


def test_a_loopback_server_is_reached_past_a_dead_proxy(
    server: tuple[str, type[_Health]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("PREFECT_API_URL", server[0])
    monkeypatch.setattr(runtime, "PATIENCE", 0.0)
    runtime.prepare(str(tmp_path))
    assert runtime.run_flow(lambda: "a run") == "a run"


LOGIN = "tmu:a-password-of-some-length"


def test_the_settings_login_is_for_the_settings_server_alone(home: Path):
    (home / STACK).write_text(f'prefect_api_url = "{SET}"\nprefect_login = "{LOGIN}"\n')
    assert _prepared(str(home))["PREFECT_API_AUTH_STRING"] == LOGIN
    assert _prepared(str(home), PREFECT_API_URL=SET)["PREFECT_API_AUTH_STRING"] == LOGIN
    assert "PREFECT_API_AUTH_STRING" not in _prepared(str(home), PREFECT_API_URL="http://other/api")
    mine = {"PREFECT_API_URL": "http://other/api", "PREFECT_API_AUTH_STRING": "me:and-my-own-password"}
    assert _prepared(str(home), **mine)["PREFECT_API_AUTH_STRING"] == mine["PREFECT_API_AUTH_STRING"]
