"""Limits: calls of a token, failures of an address, size and duration of a body. In this process; one process serves.

A token bucket holds `burst` calls and gains `per_second` of them. Cost: a dictionary entry a key, the oldest given up.
"""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.types import Message

from tmu import strict_json
from tmu.service.problems import Refusal, duplicate_key


@dataclass(frozen=True)
class Limits:
    """What one caller may use. failures: of authentication, a burst and so many a minute, by address.

    seconds_busy: how long a heavy call waits for its turn. seconds_together: how long an intake waits for others, to
    share its commit with them.
    """

    per_second: float = 50.0
    burst: int = 100
    failures: int = 20
    bytes_body: int = 2 * 2**20
    seconds_body: float = 10.0
    seconds_busy: float = 2.0
    seconds_together: float = 0.003


class Buckets:
    """Token buckets by key. most: how many keys are remembered; the one used longest ago is forgotten first."""

    def __init__(
        self, per_second: float, burst: int, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._most, self._clock = per_second, burst, most, clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one; returns 0, or the seconds after which the next one is there (then nothing is taken)."""
        now = self._clock()
        level, since = self._filled.get(key, (float(self._burst), now))
        level = min(float(self._burst), level + (now - since) * self._rate)
        granted = level >= 1
        self._filled[key] = (level - 1 if granted else level, now)
        self._filled.move_to_end(key)
        if len(self._filled) > self._most:
            self._filled.popitem(last=False)
        return 0.0 if granted else (1 - level) / self._rate


def address_of(request: Request) -> str:
    """Where a call comes from: the address, or the /64 network of an IPv6 address, which one caller has to himself."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host


async def with_body(request: Request, limits: Limits) -> Request:
    """The same call with its body read: at most `bytes_body`, declared or not, within `seconds_body`.

    Raises Refusal: 413 or 408; the connection is closed then, for the rest of the body is still to come.
    """
    if int(request.headers.get("content-length") or 0) > limits.bytes_body:
        raise _too_large(limits)
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.seconds_body):
            async for part in request.stream():
                size += len(part)
                if size > limits.bytes_body:
                    raise _too_large(limits)
                parts.append(part)
    except TimeoutError:
        what = f"The body did not arrive within {limits.seconds_body:g} s."
        raise Refusal(408, what, "Send it faster.", {"Connection": "close"}) from None
    body = b"".join(parts)

    async def replay() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return StrictRequest(request.scope, replay)


class StrictRequest(Request):
    """A call whose JSON means one thing; see `strict_json`."""

    async def json(self) -> Any:
        """The body's value. Raises Refusal (400) for a key that comes twice, ValueError for what is no JSON."""
        try:
            return strict_json.loads(await self.body())
        except strict_json.DuplicateKeyError as error:
            raise duplicate_key(error.key) from None


class OneAtATime:
    """For what keeps a processor busy: the second caller waits a moment, then is told to come again."""

    def __init__(self, seconds: float) -> None:
        self._lock, self._seconds = Lock(), seconds

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn. Raises Refusal (503)."""
        if not self._lock.acquire(timeout=self._seconds):
            raise Refusal(503, "The service is busy with another such call.", "Call again.", {"Retry-After": "5"})
        try:
            yield
        finally:
            self._lock.release()


def _too_large(limits: Limits) -> Refusal:
    what = f"The body has more than {limits.bytes_body:,} bytes."
    return Refusal(413, what, "Send several smaller ones.", {"Connection": "close"})
