"""The watch: a server that hangs is restarted, one that starts, answers or stopped is not."""

import socket
import threading
from typing import Any

import pytest

from infra.stack import watch_main
from infra.stack.watch_main import SECONDS_START, Watch


class Supervisord:
    """Its interface, with one server and a list of what was done to it."""

    def __init__(self, *, state: str = "RUNNING", seconds_up: int = SECONDS_START) -> None:
        self.facts = {"name": "mlflow", "statename": state, "now": 1000 + seconds_up, "start": 1000}
        self.done: list[str] = []

    def getAllProcessInfo(self) -> list[dict[str, Any]]:
        return [self.facts, {**self.facts, "name": "postgres"}]

    def stopProcess(self, name: str) -> None:
        self.done.append(f"stop {name}")

    def startProcess(self, name: str) -> None:
        self.done.append(f"start {name}")


def _watch(*answers: bool) -> Watch:
    given = iter(answers)
    return Watch({"mlflow": "http://x"}, lambda url: next(given))


def test_two_misses_in_a_row_restart():
    supervisord, watch = Supervisord(), _watch(False, False, False)
    assert [watch.look(supervisord) for _ in range(3)] == [[], ["mlflow"], []]
    assert supervisord.done == ["stop mlflow", "start mlflow"]


def test_an_answer_in_between_forgives():
    watch = _watch(False, True, False)
    assert [watch.look(Supervisord()) for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize("server", [Supervisord(seconds_up=SECONDS_START - 1), Supervisord(state="STARTING")])
def test_one_that_starts_is_not_asked(server: Supervisord):
    watch = _watch()
    assert [watch.look(server) for _ in range(3)] == [[], [], []]
    assert server.done == []


def test_a_restart_wipes_old_misses():
    supervisord, watch = Supervisord(), _watch(False, False)
    watch.look(supervisord)
    supervisord.facts["start"] = supervisord.facts["now"]
    watch.look(supervisord)
    supervisord.facts["start"] -= SECONDS_START
    assert watch.look(supervisord) == []


def test_a_server_that_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch_main, "SECONDS_ANSWER", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        assert not watch_main.answers(url)
    assert not watch_main.answers(url)


@pytest.fixture
def server(request: pytest.FixtureRequest):
    """A server that answers one call with the fixture's parameter; its address, and what it saw of the other's end."""
    ends: list[bytes | str] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(request.param)
            connection.shutdown(socket.SHUT_WR)
            try:
                ends.append(connection.recv(1))
            except ConnectionResetError:
                ends.append("reset")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", thread, ends
        thread.join(10)


_LONG = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1_000_000


@pytest.mark.parametrize("server", [_LONG], indirect=True, ids=["long"])
def test_an_answer_is_read_to_its_end(server):
    """Else the server is cut off while it writes, and logs that."""
    url, thread, ends = server
    assert watch_main.answers(url)
    thread.join(10)
    assert ends == [b""]


@pytest.mark.parametrize("server", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"?\r\n"], indirect=True)
def test_an_answer_that_breaks_off_or_is_no_http_is_none(server):
    assert not watch_main.answers(server[0])
