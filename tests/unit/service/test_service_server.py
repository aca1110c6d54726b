"""The server process: an end to its patience, no server header, a proxy believed only when named."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.service_tools import Api
from tmu.errors import ConfigError
from tmu.service import server
from tmu.service.roles import Role


@contextmanager
def serving(api: Api, proxy: str | None = None) -> Iterator[int]:
    """The service on a real socket, in a thread of this process."""
    made = server.server_of(api.app, proxy)
    with server.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            made.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_who_does_not_send_its_headers_is_let_go(api: Api, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(server, "SECONDS_HEADERS", 0.3)
    with serving(api) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        began = time.monotonic()
        caller.sendall(sent)
        assert caller.recv(100) == b""
        assert 0.2 < time.monotonic() - began < 4


def test_a_call_that_is_under_way_is_not_let_go(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SECONDS_HEADERS", 0.2)
    body = b'{"id": "case-1", "subjects": ["ann"]}'
    head = f"POST /requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.tokens[Role.REQUESTER]}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with serving(api) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        for number in range(2):  # the second on the same connection
            caller.sendall(head.encode() + body[:9])
            time.sleep(0.4 * number)  # a slow body
            caller.sendall(body[9:])
            answer = b""
            while b'"merged"' not in answer and (part := caller.recv(10_000)):
                answer += part
            assert answer.startswith(b"HTTP/1.1 20" + b"10"[number : number + 1])
            assert b"\r\nserver:" not in answer.lower()
            time.sleep(0.4)  # and a pause between two calls


def test_a_forwarded_address_counts_only_from_the_named_proxy(api: Api) -> None:
    seen: list[str] = []
    real = api.app.state.service.failures.take
    api.app.state.service.__dict__["failures"].take = lambda key: seen.append(key) or real(key)
    for proxy in (None, "127.0.0.1", "192.0.2.1"):
        with serving(api, proxy) as port:
            httpx.get(f"http://127.0.0.1:{port}/board", headers={"X-Forwarded-For": "198.51.100.7"})
    assert seen == ["127.0.0.1", "198.51.100.7", "127.0.0.1"]


def test_an_address_that_cannot_be_had_is_refused() -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}"):
            server.listen("127.0.0.1", port)
    with pytest.raises(ConfigError):
        server.listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert server.is_loopback(host) is loopback


def _exchange(port: int, sent: bytes) -> bytes:
    """All that comes back on one connection until the server closes it, or nothing more comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as caller:
        caller.sendall(sent)
        answer = b""
        try:
            while part := caller.recv(10_000):
                answer += part
        except TimeoutError:
            answer += b"(left open)"
    return answer


@pytest.mark.parametrize("token", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("order", [1, -1], ids=["length first", "chunked first"])
def test_a_call_with_two_lengths_gets_one_answer_and_the_connection_ends(api: Api, token: bool, order: int) -> None:
    """Two lengths let a proxy and the server disagree where a call ends: the rest would pass for another call."""
    lengths = [b"Content-Length: 5", b"Transfer-Encoding: chunked"][::order]
    who = api.tokens[Role.REQUESTER] if token else "nobody"
    head = [b"POST /requests HTTP/1.1", b"Host: x", f"Authorization: Bearer {who}".encode()]
    call = b"\r\n".join([*head, b"Content-Type: application/json", *lengths, b"", b""]) + b"0\r\n\r\n"
    hidden = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with serving(api) as port:
        answer = _exchange(port, call + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer.lower()
    assert not answer.endswith(b"(left open)")


def test_a_call_that_was_answered_is_not_refused_once_more(api: Api) -> None:
    """401 is answered before the body is read; what follows is no body, and gets no second answer."""
    call = b"POST /requests HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(api) as port, socket.create_connection(("127.0.0.1", port), timeout=3) as caller:
        caller.sendall(call)
        answer = b""
        while b"no valid token" not in answer:
            answer += caller.recv(10_000)
        caller.sendall(b"no chunk\r\n\r\n")
        while part := caller.recv(10_000):
            answer += part
    assert answer.count(b"HTTP/1.1 ") == 1
