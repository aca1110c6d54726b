"""A small S3 store over HTTP with the faults of some that are in use: it ignores conditions, or fails on checksums."""

import http.server
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class FakeS3:
    """conditions: honours `If-None-Match`. checksums: accepts x-amz-checksum-*. garbles: alters what has one.

    unavailable: answers 503. hangs: answers nothing before it is stopped. posts: the digests of each delete request.
    """

    url: str = ""
    conditions: bool = True
    checksums: bool = True
    garbles: bool = False
    unavailable: bool = False
    hangs: bool = False
    objects: dict[str, bytes] = field(default_factory=dict)
    puts: int = 0
    posts: list[tuple[str, ...]] = field(default_factory=list)

    def answer_put(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.puts += 1
        summed = _summed(headers)
        if summed and not self.checksums:
            return 400, "InvalidArgument"
        if self.conditions and headers.get("if-none-match") == "*" and path in self.objects:
            return 412, "PreconditionFailed"
        self.objects[path] = body + b"\r\nx-amz-checksum" if summed and self.garbles else body
        return 200, ""

    def answer_post(self, headers: dict[str, str]) -> tuple[int, str]:
        self.posts.append(tuple(name for name in sorted(headers) if name == "content-md5" or _summed([name])))
        return (400, "InvalidArgument") if _summed(headers) and not self.checksums else (200, "")


def _summed(headers: Iterable[str]) -> bool:
    return any(name.startswith(("x-amz-checksum-", "x-amz-trailer", "x-amz-sdk-checksum")) for name in headers)


@contextmanager
def fake_s3(**faults: bool) -> Iterator[FakeS3]:
    """The store, while the block runs; path-style addresses, any key."""
    store, stopped = FakeS3(**faults), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # answers `Expect: 100-continue`, for which botocore waits a second

        def do_PUT(self) -> None:
            headers, body = self._taken()
            if not self._failed():
                self._answer(*store.answer_put(self._name(), headers, body))

        def do_POST(self) -> None:
            headers, _ = self._taken()
            if not self._failed():
                status, code = store.answer_post(headers)
                self._answer(status, code, b"<DeleteResult/>")

        def do_GET(self) -> None:
            if self._failed():
                return
            found = store.objects.get(self._name())
            self._send(*((404, b"<Error><Code>NoSuchKey</Code></Error>") if found is None else (200, found)))

        def _taken(self) -> tuple[dict[str, str], bytes]:
            headers = {name.lower(): value for name, value in self.headers.items()}
            return headers, self.rfile.read(int(headers["content-length"]))

        def _failed(self) -> bool:
            if store.hangs:
                stopped.wait(30)
                self.close_connection = True
            elif store.unavailable:
                self._answer(503, "ServiceUnavailable")
            return store.hangs or store.unavailable

        def _answer(self, status: int, code: str, body: bytes = b"") -> None:
            self._send(status, f"<Error><Code>{code}</Code></Error>".encode() if code else body)

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
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
