"""The guard before every route: token, role, rate, size, in this order, before a byte of the body is looked at."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Annotated, Any

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from tmu.data.keys import Keys
from tmu.ledger.actor import Actor
from tmu.ledger.errors import UnknownError
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find
from tmu.service.limits import Buckets, Limits, OneAtATime, address_of, with_body
from tmu.service.problems import Refusal
from tmu.service.roles import ANYBODY, STAFF, roles_of
from tmu.service.together import Together
from tmu.service.tokens import Token, Tokens
from tmu.workspace import Workspace

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True)
class Service:
    """What all calls share. dataset, keys: of the workspace's record store."""

    workspace: Workspace
    ledger: Ledger
    tokens: Tokens
    limits: Limits
    dataset: str
    keys: Keys

    @cached_property
    def calls(self) -> Buckets:
        """By token."""
        return Buckets(self.limits.per_second, self.limits.burst)

    @cached_property
    def failures(self) -> Buckets:
        """By address."""
        return Buckets(self.limits.failures / 60, self.limits.failures)

    @cached_property
    def together(self) -> Together:
        """For single intakes."""
        return Together(self.ledger, self.keys, self.limits.seconds_together)

    @cached_property
    def heavy(self) -> OneAtATime:
        """For planning and for checking the log."""
        return OneAtATime(self.limits.seconds_busy)


@dataclass(frozen=True)
class Call:
    """A call that the guard let through. roles: those of the caller that open this route."""

    service: Service
    actor: Actor
    roles: frozenset[str]

    @property
    def ledger(self) -> Ledger:
        """Where the answer is."""
        return self.service.ledger

    @property
    def own_only(self) -> str | None:
        """The requester whose requests are all that may be seen; None: every request may."""
        return None if self.roles.intersection(STAFF) else self.actor.name

    def may_see(self, request: str) -> None:
        """Raise UnknownError for another requester's request, as if there were none."""
        if self.own_only is not None:
            with self.ledger.read() as connection:
                if find(connection, request).requester != self.own_only:
                    raise UnknownError("There is no such request.", "Check its id.")


class Guarded(APIRoute):
    """A route that lets through whom its roles name. Without declared roles it lets nobody through."""

    def get_route_handler(self) -> Handler:
        """FastAPI's own handler behind the guard."""
        go_on, roles = super().get_route_handler(), roles_of(self)

        async def handler(request: Request) -> Response:
            request.scope["tmu.route"] = self.path
            service: Service = request.app.state.service
            if ANYBODY in roles:
                _slow_down(service.calls.take(f"from {address_of(request)}"))
            else:
                token = _authenticate(request, service)
                request.scope["tmu.actor"] = token.name
                _slow_down(service.calls.take(token.id))
                request.state.call = Call(service, token.actor(), _authorise(token, roles))
            return await go_on(await with_body(request, service.limits))

        return handler


async def _call_of(request: Request) -> Call:
    return request.state.call


async def _service_of(request: Request) -> Service:
    return request.app.state.service


Here = Annotated[Call, Depends(_call_of)]
Public = Annotated[Service, Depends(_service_of)]


def _authenticate(request: Request, service: Service) -> Token:
    """The token of the call. Refusal 401, or 429 after too many failures; a valid token is never refused for them."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    token = service.tokens.find(text.strip()) if kind.lower() == "bearer" else None
    if token is None:
        _slow_down(service.failures.take(address_of(request)))
        hint = "Send `Authorization: Bearer TOKEN` with one that is in force (`tmu token create`)."
        raise Refusal(401, "The call has no valid token.", hint, {"WWW-Authenticate": "Bearer"})
    return token


def _authorise(token: Token, roles: frozenset[str]) -> frozenset[str]:
    """The token's roles that open this route: one that opens only others gives no right here. Refusal 403 for none."""
    mine = roles.intersection(token.roles)
    if not mine:
        raise Refusal(403, "This token's roles do not allow that.", "docs/api.md lists who may call what.")
    return mine


def _slow_down(seconds: float) -> None:
    if not seconds:
        return
    headers = {"Retry-After": str(max(1, ceil(seconds)))}
    raise Refusal(429, "Too many calls.", "Wait as long as the header Retry-After says; send batches.", headers)
