"""Puts the service together: `create_app(workspace, ledger)`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI

from tmu import __version__
from tmu.data.info import read_info
from tmu.ledger.store import Ledger
from tmu.service import approvals, board, certificates, decisions, health, holds, log, plans, problems, requests
from tmu.service.guard import Guarded, Service
from tmu.service.limits import Limits
from tmu.service.roles import ANYBODY, MARK, Route, undeclared
from tmu.service.starter import Starter
from tmu.service.tokens import Tokens, tokens_of
from tmu.service.warm import WarmUp
from tmu.service.watch import Watch
from tmu.steps.store_keys import keys_of
from tmu.workspace import Workspace

SUBJECTS = (requests, plans, approvals, decisions, certificates, holds, board, log, health)
_THREADS = 12
"""Calls in the ledger at once: fewer than the connections that SQLAlchemy opens (15)."""
_PROBLEMS = {
    400: "not JSON in UTF-8", 401: "no valid token", 403: "not allowed for this token's roles or for the requester",
    404: "not on record", 408: "the body came too slowly", 409: "conflicts with the ledger",
    413: "the body is too large", 422: "not valid against the schema, or not feasible", 429: "too many calls",
    503: "the ledger does not answer",
}  # fmt: skip
_TEXT = {"type": "string"}
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "what", "hint"],
    "properties": dict.fromkeys(("type", "title", "detail", "what", "hint"), _TEXT) | {"status": {"type": "integer"}},
}


def create_app(
    workspace: Workspace, ledger: Ledger, *, limits: Limits | None = None, tokens: Tokens | None = None
) -> FastAPI:
    """The application. The caller closes the ledger. Raises DataError or ConfigError for a store that is not usable."""
    info = read_info(workspace.data)
    app = FastAPI(
        title="tmu deletion service",
        version=__version__,
        description="Record, plan, approve and monitor deletion requests. Errors are RFC 9457 problem documents.",
        lifespan=_lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = Service(
        workspace=workspace,
        ledger=ledger,
        tokens=tokens or tokens_of(workspace),
        limits=limits or Limits(),
        dataset=info.dataset,
        keys=keys_of(workspace, info),
    )
    app.router.route_class = Guarded
    for subject in SUBJECTS:
        for route in subject.ROUTES:
            _add(app, route)
    if undeclared(app.routes):
        raise RuntimeError(f"routes without roles: {undeclared(app.routes)}")
    problems.install(app)
    app.add_middleware(Watch)
    _describe(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    starting = asyncio.create_task(Starter(app.state.service.workspace).keep_looking())
    warm_up = WarmUp()
    warm_up.start()
    yield
    starting.cancel()
    await anyio.to_thread.run_sync(warm_up.stop)


def _add(app: FastAPI, route: Route) -> None:
    public = ANYBODY in route.roles
    statuses = (429, 503) if public else _PROBLEMS
    content = {problems.MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses = {status: {"description": _PROBLEMS[status], "content": content} for status in statuses}
    responses |= {status: {"description": why} for status, why in route.also.items()}
    app.add_api_route(
        route.path,
        route.endpoint,
        methods=[route.method],
        status_code=route.status,
        responses=responses,
        openapi_extra={MARK: [*route.roles], "security": [] if public else [{"token": []}]},
        operation_id=f"{route.endpoint.__module__.rpartition('.')[2]}_{route.endpoint.__name__.strip('_')}",
    )


def _describe(app: FastAPI) -> None:
    """Add the security scheme and the schema of problems to FastAPI's own document."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        parts = document.setdefault("components", {})
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        parts.setdefault("schemas", {})["Problem"] = _SCHEMA
        return document

    app.openapi = described  # type: ignore[method-assign]
