"""A small S3 store over HTTP with the faults of some that are in use: it ignores conditions, or fails on checksums."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class FakeS3:
    """conditions: honours `If-None-Match`. checksums: accepts x-amz-checksum-*. garbles: alters what has one."""

    url: str = ""
    conditions: bool = True
    checksums: bool = True
    garbles: bool = False
    objects: dict[str, bytes] = field(default_factory=dict)
    puts: int = 0

    def answer_put(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.puts += 1
        summed = any(name.startswith(("x-amz-checksum-", "x-amz-trailer", "x-amz-sdk-checksum")) for name in headers)
        if summed and not self.checksums:
            return 400, "InvalidArgument"
        if self.conditions and headers.get("if-none-match") == "*" and path in self.objects:
            return 412, "PreconditionFailed"
        self.objects[path] = body + b"\r\nx-amz-checksum" if summed and self.garbles else body
        return 200, ""


@contextmanager
def fake_s3(**faults: bool) -> Iterator[FakeS3]:
    """The store, while the block runs; path-style addresses, any key."""
    store = FakeS3(**faults)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # answers `Expect: 100-continue`, for which botocore waits a second

        def do_PUT(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, code = store.answer_put(self._name(), headers, self.rfile.read(int(headers["content-length"])))
            self._send(status, f"<Error><Code>{code}</Code></Error>".encode() if code else b"")

        def do_GET(self) -> None:
            found = store.objects.get(self._name())
            self._send(*((404, b"<Error><Code>NoSuchKey</Code></Error>") if found is None else (200, found)))

        def _name(self) -> str:
            return self.path.partition("?")[0]

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
