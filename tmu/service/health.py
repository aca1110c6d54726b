"""For supervisors and load balancers, without a token and without detail; and the API's own description."""

from typing import Any

import sqlalchemy as sa
from starlette.requests import Request

from tmu.service.guard import Public
from tmu.service.roles import ANYBODY, Route


def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


def ready(service: Public) -> dict[str, str]:
    """The ledger answers, too (else 503)."""
    with service.ledger.read() as connection:
        connection.execute(sa.select(1))
    return {"status": "ok"}


def description(request: Request) -> dict[str, Any]:
    """The service's own description (OpenAPI)."""
    return request.app.openapi()


ROUTES = (
    Route("GET", "/health", health, (ANYBODY,)),
    Route("GET", "/ready", ready, (ANYBODY,)),
    Route("GET", "/openapi.json", description, (ANYBODY,)),
)
