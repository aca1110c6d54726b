"""The board of dates."""

from typing import Annotated, Any

from fastapi import Query

from tmu.ledger import views
from tmu.service.guard import Here
from tmu.service.roles import STAFF, Route

_SECONDS_MOST = 1_000_000


def board(
    call: Here,
    seconds_per_request: Annotated[
        float | None,
        Query(ge=0, le=_SECONDS_MOST, allow_inf_nan=False, description="forecast: work for one request, measured"),
    ] = None,
    most: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Open requests by date, the most urgent first: days left, percent used, warning, forecast. open: how many."""
    rows = views.board(call.ledger, seconds_per_request)
    return {"open": len(rows), "requests": rows[:most]}


ROUTES = (Route("GET", "/board", board, STAFF),)
