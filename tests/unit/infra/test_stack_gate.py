"""The gate before Prefect and MLflow: foreign hosts and pages are refused, strangers are asked for the login."""

import base64
import os
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from infra.stack import mlflow_main
from infra.stack.gate import guarded

PORT = 4200
OWN = f"http://127.0.0.1:{PORT}"
SOCKET = f"ws://127.0.0.1:{PORT}/socket"
LOGIN = "tmu:pässword:with-colon"
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def _app() -> Starlette:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await request.body()).decode() or "page")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    verbs = ["GET", "POST", "PUT", "DELETE"]
    routes = [Route("/", page, methods=verbs), Route("/health", page, methods=verbs), WebSocketRoute("/socket", socket)]
    return Starlette(routes=routes)


@pytest.fixture
def client() -> TestClient:
    """A client of the guarded application that asks for no login."""
    return TestClient(guarded(_app(), PORT), base_url=OWN)


@pytest.fixture
def asked() -> TestClient:
    """A client of one that does."""
    return TestClient(guarded(_app(), PORT, login=LOGIN, open_paths=["/health"]), base_url=OWN)


def test_programs_and_own_pages_pass(client: TestClient) -> None:
    assert client.post("/", content=b"{}").text == "{}"
    for own in (OWN, f"http://localhost:{PORT}"):
        assert client.post("/", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.get("/", headers={"Host": f"localhost:{PORT}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "www.localhost", "", "127.0.0.1@evil"])
def test_a_foreign_host_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:4201", "https://127.0.0.1:4200"])
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_foreign_origin_is_refused_whatever_it_sends(client: TestClient, origin: str, verb: str) -> None:
    assert client.request(verb, "/", headers={"Origin": origin}).status_code == 403


def test_a_second_origin_does_not_hide_behind_the_own_one(client: TestClient) -> None:
    assert client.post("/", headers=[("Origin", OWN), ("Origin", "http://evil.example")]).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
def test_a_foreign_page_that_names_no_origin_is_refused(client: TestClient, site: str) -> None:
    assert client.get("/", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}).status_code == 403


def test_a_link_may_be_followed_but_not_posted_nor_framed(client: TestClient) -> None:
    assert client.get("/", headers=LINK).status_code == 200
    assert client.post("/", headers=LINK).status_code == 403
    assert client.get("/", headers=LINK | {"Sec-Fetch-Dest": "iframe"}).status_code == 403


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_web_socket_of_a_foreign_page_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    with client.websocket_connect(SOCKET, headers={"Origin": OWN}) as socket:
        assert socket.receive_text() == "hello"
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect(SOCKET, headers=headers):
        pass


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def test_the_login_opens(asked: TestClient) -> None:
    assert asked.get("/", headers={"Authorization": _basic(LOGIN)}).status_code == 200
    with asked.websocket_connect(SOCKET, headers={"Authorization": _basic(LOGIN)}) as socket:
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        _basic("tmu"),
        _basic("tmu:"),
        _basic(LOGIN[:-1]),
        _basic(LOGIN + "x"),
        _basic(LOGIN).replace("Basic", "Bearer"),
    ],
)
def test_any_other_login_is_refused_and_a_browser_asks_for_it(asked: TestClient, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    refused = asked.put("/", content=b"x", headers=headers)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="tmu"')
    with pytest.raises(WebSocketDisconnect), asked.websocket_connect(SOCKET, headers=headers):
        pass


@pytest.mark.parametrize("given", ["Basic é", "Basic \xa0\xff", "é"])
def test_a_login_that_is_not_ascii_is_refused_without_an_error(asked: TestClient, given: str) -> None:
    headers = {"Authorization": given.encode("latin-1")}
    assert asked.get("/", headers=headers).status_code == 401
    with pytest.raises(WebSocketDisconnect), asked.websocket_connect(SOCKET, headers=headers):
        pass


def test_health_is_told_to_everybody_and_nothing_else_is(asked: TestClient) -> None:
    assert asked.get("/health").status_code == 200
    assert asked.get("/health", headers={"Host": "evil.example"}).status_code == 400
    for verb, path in (("POST", "/health"), ("GET", "/health/"), ("GET", "//health"), ("GET", "/")):
        assert asked.request(verb, path, follow_redirects=False).status_code == 401, path


def test_what_is_closed_is_not_found_even_with_the_login() -> None:
    gate = guarded(_app(), PORT, login=LOGIN, closed=["/hea", "/socket"])
    client = TestClient(gate, base_url=OWN, headers={"Authorization": _basic(LOGIN)})
    assert [client.post(path).status_code for path in ("/", "/health", "/%68ealth")] == [200, 404, 404]
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect(SOCKET):
        pass


def test_mlflow_that_would_serve_something_else_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(os, "execvpe", lambda *command: started.append(command))
    command = ["python", "-m", "uvicorn", "--port", "5000"]
    with pytest.raises(RuntimeError, match="without a login"):
        mlflow_main.become([*command, "other:app"], extra_env={})
    assert started == []
    mlflow_main.become([*command, "mlflow.server.fastapi_app:app"], extra_env={})
    assert started[0][1][-2:] == ["--factory", "infra.stack.mlflow_main:application"]
