"""A receiver of webhooks on this machine that answers as told and keeps what it got, and settings that name it."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tmu.settings import Settings

SECRET = "a shared secret of this test"


@dataclass
class Got:
    """One call: path, headers and exact bytes."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """answers: the status for each call in turn, then 204 for ever; or a function of the message."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    answer: Callable[[Any], int] | None = None

    @property
    def told(self) -> list[tuple[str | None, str]]:
        return [(each.message["request"], each.message["event"]) for each in self.got]

    def status(self, message: Any) -> int:
        if self.answer is not None:
            return self.answer(message)
        return self.answers.pop(0) if self.answers else 204


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, while the block runs."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(Got(self.path, dict(self.headers), body))
            self.send_response(receiver.status(json.loads(body)))
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def listening(*urls: str, **more: Any) -> Settings:
    """Settings that name webhooks."""
    return Settings(webhooks=urls, webhook_secret=SECRET, **more)
