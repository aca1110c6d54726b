"""One webhook: what is posted, what each answer means, and which addresses are refused."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.notify_tools import SECRET, Receiver, receiving
from tmu.errors import ConfigError
from tmu.ledger.deliveries import Message
from tmu.notify import webhook
from tmu.notify.signature import verify_signature
from tmu.notify.target import ARRIVED, Answer
from tmu.notify.webhook import Webhook, check_url

MESSAGE = Message(1, "ab" * 16, json.dumps({"event": "approved", "request": "r1", "wort": "ö"}, ensure_ascii=False))
AT = 1_800_000_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def send(url: str) -> Answer:
    with Webhook(url, SECRET.encode()) as target:
        return target.send(MESSAGE, AT)


def test_the_very_bytes_arrive_signed_and_named(receiver: Receiver) -> None:
    assert send(receiver.url) == ARRIVED
    (got,) = receiver.got
    assert got.body == MESSAGE.body.encode()
    assert got.headers["Tmu-Delivery"] == MESSAGE.id
    assert got.headers["Content-Type"] == "application/json"
    assert verify_signature(SECRET.encode(), got.headers["Tmu-Signature"], got.body, AT)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, ARRIVED),
        (202, ARRIVED),
        (302, Answer("redirect", down=True)),
        (307, Answer("redirect", down=True)),
        (400, Answer("http_400")),
        (401, Answer("http_401", down=True)),
        (410, Answer("http_410", final=True)),
        (429, Answer("http_429", down=True)),
        (503, Answer("http_503", down=True)),
    ],
)
def test_what_an_answer_means(receiver: Receiver, status: int, answer: Answer) -> None:
    receiver.answers = [status]
    assert send(receiver.url) == answer
    assert [got.path for got in receiver.got] == ["/hook"]  # no redirect was followed


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but does not listen
        assert send(f"http://127.0.0.1:{taken.getsockname()[1]}/") == Answer("unreachable", down=True)


def test_no_web_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].sendall(b"220 mail ready\r\n"), daemon=True).start()
        assert send(f"http://127.0.0.1:{server.getsockname()[1]}/") == Answer("unreachable", down=True)


def test_an_answer_that_never_ends_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte every 50 ms keeps every single read short: only a limit on the whole stops it."""
    monkeypatch.setattr(webhook, "SECONDS", 0.5)
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        begun = time.monotonic()
        assert send(f"http://127.0.0.1:{server.getsockname()[1]}/") == Answer("timeout", down=True)
        assert time.monotonic() - begun < 5
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "url", ["https://example.org/x", "http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/"]
)
def test_good_addresses(url: str) -> None:
    check_url(url, 1, False)


@pytest.mark.parametrize(
    "url",
    ["http://example.org/x", "http://10.0.0.1/", "http://localhost.example.org/", "http://127.0.0.1.example.org/",
     "ftp://example.org", "example.org", "https://", "", "https://me:secret@example.org/", "http://[::1", "https://a:x/"],
)  # fmt: skip
def test_bad_addresses_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_url(url, 2, False)
    assert "Address 2 of `webhooks`" in str(caught.value)
    assert "example.org" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_plain_http_to_other_machines_where_it_is_set() -> None:
    check_url("http://10.0.0.1/", 1, True)
    with pytest.raises(ConfigError):
        check_url("ftp://10.0.0.1/", 1, True)
