"""A proxy before the S3 gateway that can make trouble: `python -m tests.chaos.proxy PORT GATEWAY_PORT SOCKET`.

Modes: `pass` relays; `refuse` answers 503 to every request; `hang` accepts, and neither relays nor answers. A new mode
meets connections that are open, too. `switch` sets it over a Unix socket and returns when it is in force.
"""

import asyncio
import contextlib
import socket
import sys
from pathlib import Path
from typing import Literal

Mode = Literal["pass", "refuse", "hang"]
_HOST = "127.0.0.1"
_BODY = b"<?xml version='1.0'?><Error><Code>ServiceUnavailable</Code><Message>Chaos</Message></Error>"
_503 = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Relays TCP from `port` to `gateway`, as the mode allows. Both on the loopback."""

    def __init__(self, port: int, gateway: int):
        self.port, self.gateway = port, gateway
        self.mode: Mode = "pass"
        self.may_flow = asyncio.Event()
        self.may_flow.set()
        self.relays: set[asyncio.StreamWriter] = set()

    async def serve(self, control: Path) -> None:
        """Serve until cancelled. control: path of the socket that takes modes."""
        control.unlink(missing_ok=True)
        async with (
            await asyncio.start_server(self._client, _HOST, self.port) as clients,
            await asyncio.start_unix_server(self._control, control) as orders,
        ):
            await asyncio.gather(clients.serve_forever(), orders.serve_forever())

    def change(self, mode: Mode) -> None:
        """Set the mode. Open connections are cut for `refuse`, stopped for `hang`, and go on after it."""
        self.mode = mode
        if mode == "hang":
            self.may_flow.clear()
        else:
            self.may_flow.set()
        if mode == "refuse":
            for writer in self.relays:
                writer.transport.abort()

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mode = (await reader.readline()).decode().strip()
        if mode in ("pass", "refuse", "hang"):
            self.change(mode)
            writer.write(b"ok\n")
        await _close(writer)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.relays.add(writer)
        try:
            await self.may_flow.wait()
            if self.mode == "refuse":
                await _refuse(reader, writer)
            else:
                await self._relay((reader, writer), await asyncio.open_connection(_HOST, self.gateway))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client or the gateway went away: so does the connection
        finally:
            self.relays.discard(writer)
            await _close(writer)

    async def _relay(self, client: Streams, gateway: Streams) -> None:
        self.relays.add(gateway[1])
        try:
            await asyncio.gather(self._copy(client[0], gateway[1]), self._copy(gateway[0], client[1]))
        finally:
            self.relays.discard(gateway[1])
            await _close(gateway[1])

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65_536):
            await self.may_flow.wait()
            target.write(chunk)
            await target.drain()
        target.close()  # one side has ended: so does the other


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with 503 once its head has arrived; the body is not waited for."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(_503)
    await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):  # cut off: closed all the more
        await writer.wait_closed()


def switch(control: Path, mode: Mode) -> None:
    """Set the mode of a running proxy. Raises OSError where none answers."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(control))
        line.sendall(mode.encode() + b"\n")
        if line.recv(16) != b"ok\n":
            raise OSError(f"The proxy did not take the mode {mode}.")


def main() -> None:
    """The command line."""
    port, gateway, control = sys.argv[1:]
    asyncio.run(Proxy(int(port), int(gateway)).serve(Path(control)))


if __name__ == "__main__":
    main()
