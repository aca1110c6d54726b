"""The outermost layer: one line a call in the log, safe headers, and the last net under errors that are ours.

A line names method, route, status, time and the token's name; never the address called, which holds ids. A fault is
logged with its kind and where it happened, without its message: messages quote values.
"""

import logging
import time
import traceback

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tmu.service.problems import problem

_LOG = logging.getLogger("tmu.service")
_SAFE = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}


class Watch:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one call on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, began = 0, time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_SAFE]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            _LOG.error("fault: %s", _where(error))
            if status:
                raise RuntimeError("the answer broke off") from None  # the server closes the connection
            await problem(500, "That is an internal error of the service.", "The operator finds it in the log.")(
                scope, receive, answer
            )
        finally:
            _LOG.info("%s", _line(scope, status, time.perf_counter() - began))


def _line(scope: Scope, status: int, seconds: float) -> str:
    method = scope["method"] if scope["method"] in _METHODS else "?"
    route, who = scope.get("tmu.route", "(no route)"), scope.get("tmu.actor", "-")
    return f"{method} {route} {status} {1000 * seconds:.1f} ms {who}"


def _where(error: BaseException) -> str:
    """Kind and places of an error and of what led to it, without their messages."""
    parts, each = [], error
    while each is not None:
        frames = traceback.extract_tb(each.__traceback__)[-6:]
        places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        parts.append(f"{type(each).__name__} at {places}")
        each = each.__cause__ or each.__context__
    return "; after ".join(parts)
