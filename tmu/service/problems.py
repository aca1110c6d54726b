"""Errors as answers: RFC 9457 problem documents with `what` and `hint`, which repeat nothing of what was sent.

What was sent may be the name of a person. So messages come from our own sentences; names of fields only if they are
ours; a 404 does not say what was not found; runs of 32 and more hexadecimal digits (keys) are left out.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from tmu.errors import RequestError, StorageError, TmuError
from tmu.ledger.errors import ChainError, ConflictError, ForbiddenError, UnknownError
from tmu.ledger.raw import Body

MEDIA = "application/problem+json"
RETRY = {"Retry-After": "5"}
_LOG = logging.getLogger("tmu.service")
_KEYS = re.compile(r"[0-9a-f]{32,}", re.IGNORECASE)
_STATUS: tuple[tuple[type[TmuError], int], ...] = (  # the first that fits
    (UnknownError, 404),
    (ForbiddenError, 403),
    (ConflictError, 409),
    (ChainError, 409),
    (RequestError, 422),
    (StorageError, 503),
)
# pydantic's messages of these kinds name limits and patterns of ours, never the value
_OWN_WORDS = {
    "missing", "string_type", "string_too_short", "string_too_long", "string_pattern_mismatch", "string_unicode",
    "list_type", "too_short", "too_long", "bool_type", "bool_parsing", "int_parsing", "float_parsing", "literal_error",
    "greater_than_equal", "less_than_equal", "finite_number", "enum", "value_error", "model_attributes_type",
}  # fmt: skip


class Refusal(HTTPException):
    """A refusal of the service itself, before the ledger is asked."""

    def __init__(self, status: int, what: str, hint: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, what, dict(headers or {}))
        self.what, self.hint = what, hint


def duplicate_key(key: str) -> Refusal:
    """The refusal (400) of a JSON body in which an object has the same key twice. Only names of ours are repeated."""
    named = f"`{key}`" if key in _names_of(Body) else "a name that is not known"
    return Refusal(400, f"An object of the body has the same key twice: {named}.", "Send each key once.")


def problem(status: int, what: str, hint: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """The problem document."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    content |= {"detail": f"{what} {hint}", "what": what, "hint": hint}
    return JSONResponse(content | more, status, dict(headers or {}), media_type=MEDIA)


def said(error: TmuError) -> tuple[int, str, str]:
    """Status, what and hint of an error, fit to leave the house."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == 404:
        return status, "There is no such object.", "Check the id; it is not repeated here."
    if status == 503:
        hint = "Call again later; an intake or a decision that is repeated takes effect once."
        return status, "The ledger or a store does not answer.", hint
    if status == 500:
        return status, "The service is not set up for this.", "The operator finds the reason in the log."
    return status, _KEYS.sub("(key)", error.what), _KEYS.sub("(key)", error.hint)


def install(app: FastAPI) -> None:
    """Answer every error of a route with a problem document."""
    app.add_exception_handler(TmuError, _tmu)
    app.add_exception_handler(PoolTimeout, _pool)
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _tmu(request: Request, error: TmuError) -> JSONResponse:
    status, what, hint = said(error)
    if status >= 500:  # the ledger's and the stores' own words: no value that was sent is in them
        _LOG.error("%s: %s", type(error).__name__, _KEYS.sub("(key)", error.what))
    return problem(status, what, hint, RETRY if status == 503 else None)


async def _pool(request: Request, error: PoolTimeout) -> JSONResponse:
    return problem(*said(StorageError("", "")), RETRY)


async def _refusal(request: Request, error: Refusal) -> JSONResponse:
    return problem(error.status_code, error.what, error.hint, error.headers)


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    words = {
        404: ("There is no such address.", "docs/api.md and /openapi.json list them."),
        405: ("This address does not take that method.", "The header Allow names those that it takes."),
    }
    what, hint = words.get(error.status_code, ("The call cannot be read.", "Send JSON in UTF-8 as /openapi.json says."))
    return problem(error.status_code, what, hint, error.headers)


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [_fault(each) for each in error.errors()[:10]]
    first = errors[0]
    what = f"The call is not valid against the schema: {first['where']}: {first['why']}."
    return problem(422, what, "Fix it and call again; nothing was changed.", errors=errors)


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    kind, where = error["type"], list(error["loc"])
    if kind == "extra_forbidden":
        where[-1] = "(a name that is not known)"
        return {"where": _place(where), "why": "Leave it out"}
    if kind == "json_invalid":
        return {"where": "body", "why": "It is not JSON"}
    return {"where": _place(where), "why": error["msg"] if kind in _OWN_WORDS else "It is not of the right kind"}


def _place(parts: Sequence[Any]) -> str:
    return ".".join(str(part) for part in parts)


def _names_of(model: type[BaseModel]) -> set[str]:
    """The fields of a model and of all that are made from it."""
    return set(model.model_fields).union(*(_names_of(each) for each in model.__subclasses__()))
