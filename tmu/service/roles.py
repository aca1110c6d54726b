"""Roles, and the table entry that a route must have: what no entry names cannot be called (deny by default)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from starlette.routing import BaseRoute


class Role(StrEnum):
    """What a token's holder may do. The ledger adds that who asked may not approve."""

    REQUESTER = "requester"
    APPROVER = "approver"
    OPERATOR = "operator"
    AUDITOR = "auditor"


ANYBODY = "anybody"
"""In place of roles: a route without a token."""
STAFF = (Role.APPROVER, Role.OPERATOR, Role.AUDITOR)
"""Those who see all requests; a requester sees those that the same name put on record."""
MARK = "x-roles"
"""Where a route carries its roles; the OpenAPI document shows it."""


@dataclass(frozen=True)
class Route:
    """A line of a file's `ROUTES`. roles: who may call it, or (ANYBODY,). status: of usual success; also: others."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    roles: tuple[str, ...]
    status: int = 200
    also: Mapping[int, str] = field(default_factory=dict)


def roles_of(route: BaseRoute) -> frozenset[str]:
    """The declared roles of a route; empty where there are none or a word that is no role: nobody may call it."""
    declared = (getattr(route, "openapi_extra", None) or {}).get(MARK, ())
    known = {*Role, ANYBODY}
    return frozenset(declared) if declared and known.issuperset(declared) else frozenset()


def undeclared(routes: Iterable[BaseRoute]) -> list[str]:
    """The paths of the routes that declare no role."""
    return [getattr(route, "path", "?") for route in routes if not roles_of(route)]
