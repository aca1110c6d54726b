"""The proxy relays, answers 503, hangs, and goes on; also on connections that were open before."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from infra.stack.ports import next_free
from tests.chaos.proxy import switch


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of the proxy before an echoing server, and its control socket."""
    control = tmp_path_factory.mktemp("p") / "s"
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = next_free(28_700)
        command = [sys.executable, "-m", "tests.chaos.proxy", str(port), str(server.server_port), str(control)]
        with subprocess.Popen(command) as process:
            deadline = time.monotonic() + 30
            while not control.exists():
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/key", control
            process.terminate()
        server.shutdown()


@pytest.fixture
def client(proxy: tuple[str, Path]) -> Iterator[httpx.Client]:
    switch(proxy[1], "pass")
    with httpx.Client(trust_env=False, timeout=2) as client:
        yield client
    switch(proxy[1], "pass")


def test_it_relays_bodies_of_any_size(proxy: tuple[str, Path], client: httpx.Client) -> None:
    for body in (b"", b"x", bytes(300_000)):
        assert client.put(proxy[0], content=body).content == body


def test_it_answers_503_also_to_a_client_that_was_connected(proxy: tuple[str, Path], client: httpx.Client) -> None:
    client.put(proxy[0], content=b"before")
    switch(proxy[1], "refuse")
    answers = []
    for _ in range(3):
        try:
            answers.append(client.put(proxy[0], content=b"x" * 100).status_code)
        except httpx.TransportError:
            answers.append(0)  # the connection from before was cut
    assert set(answers) <= {0, 503} and answers[-1] == 503
    switch(proxy[1], "pass")
    assert client.put(proxy[0], content=b"after").content == b"after"


@pytest.mark.parametrize("connected", [True, False])
def test_it_hangs_and_the_same_clients_go_on_afterwards(
    proxy: tuple[str, Path], client: httpx.Client, connected: bool
) -> None:
    if connected:
        client.put(proxy[0], content=b"before")
    switch(proxy[1], "hang")
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        client.put(proxy[0], content=b"x", timeout=0.5)
    assert time.monotonic() - began >= 0.5
    switch(proxy[1], "pass")
    assert client.put(proxy[0], content=b"after").content == b"after"


def test_a_request_that_hung_is_answered_once_it_may_pass(proxy: tuple[str, Path], client: httpx.Client) -> None:
    switch(proxy[1], "hang")
    threading.Timer(0.5, switch, (proxy[1], "pass")).start()
    assert client.put(proxy[0], content=b"waited").content == b"waited"


def test_an_unknown_mode_is_refused(proxy: tuple[str, Path]) -> None:
    with pytest.raises(OSError, match="did not take"):
        switch(proxy[1], "explode")  # type: ignore[arg-type]
