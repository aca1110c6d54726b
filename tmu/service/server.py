"""The server process: uvicorn without its access log (paths hold ids), with patience for slow callers bounded."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from tmu.errors import ConfigError

SECONDS_HEADERS = 10.0
"""How long a connection may take to send a call's headers."""
_CONNECTIONS = 200
_HEADERS_MOST = 16 * 1024
_LENGTHS = {b"content-length", b"transfer-encoding"}
_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": "INFO", "propagate": False} for name in ("tmu.service", "uvicorn")
    },
}


class OneLength(h11.Connection):
    """A connection whose calls have one length. With both headers the sender and a proxy may not agree where one ends.

    RFC 9112, 6.3: such a call may be an attempt at request smuggling, and the server may refuse it.
    """

    def next_event(self) -> Any:
        """The next event. Raises h11.RemoteProtocolError for a call with Content-Length and Transfer-Encoding."""
        event = super().next_event()
        if isinstance(event, h11.Request) and {name for name, _ in event.headers} >= _LENGTHS:
            raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return event


class Patient(H11Protocol):
    """uvicorn's protocol, which waits for ever for headers, with an end to its patience; one answer to a bad call."""

    _patience: asyncio.TimerHandle | None = None

    def __init__(self, config: uvicorn.Config, *more: Any, **named: Any) -> None:
        super().__init__(config, *more, **named)
        self.conn = OneLength(h11.SERVER, config.h11_max_incomplete_event_size or _HEADERS_MOST)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection: headers are to follow."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes: the wait begins with the first of a call and ends with its headers."""
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and close. A call that is answered already gets no second answer."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._patience is None:
            self._patience = self.loop.call_later(SECONDS_HEADERS, self._give_up)

    def _give_up(self) -> None:
        self._patience = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()

    def _forget(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 chooses a free port. Raises ConfigError where the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such address"
        raise ConfigError(f"Cannot listen on {host} port {port}: {reason}.", "Choose another.") from error


def run(app: FastAPI, listening: socket.socket, *, proxy: str | None = None) -> None:
    """Serve until told to stop (SIGINT, SIGTERM); calls under way are finished, for at most 10 s."""
    server_of(app, proxy).run(sockets=[listening])


def server_of(app: FastAPI, proxy: str | None = None) -> uvicorn.Server:
    """The server. proxy: the address of a proxy whose X-Forwarded-For is believed; None: nobody's is."""
    config = uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        workers=1,
        access_log=False,
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=_HEADERS_MOST,
        log_config=_LOGGING,
    )
    return uvicorn.Server(config)
