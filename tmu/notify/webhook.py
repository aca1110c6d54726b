"""Webhooks: the message's JSON by POST, signed. What the receiver answers is not read beyond its status."""

import asyncio
import ipaddress
from functools import cached_property
from types import TracebackType
from typing import Self

import httpx

from tmu.errors import ConfigError
from tmu.ledger.deliveries import PATIENCE, Message
from tmu.notify.signature import DELIVERY, HEADER, sign
from tmu.notify.target import ARRIVED, Answer, name_of

SECONDS = 10
"""For all of an attempt, from the look-up of the name to the status."""
_OF_THE_MESSAGE = (400, 409, 413, 415, 422)


class Webhook:
    """One address. Redirects are not followed: they would send what was signed for one receiver to another."""

    events, patience = None, PATIENCE

    def __init__(self, url: str, secret: bytes) -> None:
        self.id, self._url, self._secret = name_of(url), url, secret

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_client" in vars(self):
            self._runner.run(self._client.aclose())
            del self._client
        self._runner.close()

    def send(self, message: Message, at: int) -> Answer:
        """Post once. 2xx: arrived; 410: never again; anything else: later."""
        body = message.body.encode()
        headers = {HEADER: sign(self._secret, body, at), DELIVERY: message.id}
        headers |= {"Content-Type": "application/json", "User-Agent": "tmu"}
        try:
            status = self._runner.run(self._status(body, headers))
        except (TimeoutError, httpx.TimeoutException):
            return Answer("timeout", down=True)
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            return Answer("unreachable", down=True)
        if 200 <= status < 300:
            return ARRIVED
        if 300 <= status < 400:
            return Answer("redirect", down=True)
        return Answer(f"http_{status}", final=status == 410, down=status != 410 and status not in _OF_THE_MESSAGE)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=SECONDS, follow_redirects=False)

    async def _status(self, body: bytes, headers: dict[str, str]) -> int:
        async with asyncio.timeout(SECONDS):  # httpx's own limit begins anew with every byte
            async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                return response.status_code


def check_url(url: str, number: int, plain_http: bool) -> None:
    """Raise ConfigError unless a webhook's address is https, or http to this machine (anywhere, with `plain_http`)."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ConfigError(
            f"Address {number} of `webhooks` is no address of a web server without a password in it.",
            "Write https://HOST/PATH; who sends is shown by the signature.",
        )
    if parsed.scheme == "http" and not plain_http and not _is_loopback(parsed.host):
        raise ConfigError(
            f"Address {number} of `webhooks` is plain http to another machine.",
            "Use https, or set `webhooks_plain_http` if nobody else can read that network.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
