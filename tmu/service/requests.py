"""Intake, one or many, and looking at requests."""

import json
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import Path, Query, Response

from tmu.ledger import asked, views
from tmu.ledger.intake import Receipt, receive_all
from tmu.ledger.intake import RequestId as Name
from tmu.ledger.raw import IntakeBody
from tmu.ledger.states import State
from tmu.service.bodies import BatchBody
from tmu.service.guard import Here
from tmu.service.naming import intakes_of
from tmu.service.problems import said
from tmu.service.roles import Role, Route

RequestId = Annotated[Name, Path(description="the request's id")]
_IN = (Role.REQUESTER, Role.OPERATOR)


async def put(body: IntakeBody, call: Here, response: Response) -> dict[str, Any]:
    """Record a request. Once this answers, it survives a crash. 201: new; 200: already recorded."""
    keyed = partial(intakes_of, call.service, [body])
    (intake,) = await anyio.to_thread.run_sync(keyed) if body.with_copies else keyed()
    receipt = await call.service.together.receive(intake, call.actor)
    response.status_code = 201 if receipt.new else 200
    return _shown(receipt)


def put_many(body: BatchBody, call: Here) -> list[dict[str, Any]]:
    """Put up to 500 requests on record in one transaction. The answers are in order, each with its own `status`:

    201, 200, or 409 with `what` and `hint`; a conflict does not touch the others.
    """
    intakes = intakes_of(call.service, body.requests)
    answers = receive_all(call.ledger, call.service.keys, intakes, call.actor)
    return [_answer(intake.id, answer) for intake, answer in zip(intakes, answers, strict=True)]


def list_(
    call: Here,
    state: Annotated[list[State], Query(description="only in these states")] = [],  # noqa: B006 - FastAPI copies it
    urgent: Annotated[bool | None, Query(description="only of this lane")] = None,
    most: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[Name | None, Query(description="`next` of the page before")] = None,
) -> dict[str, Any]:
    """Requests, newest first, a page at a time. A requester sees those of the same name."""
    if after is not None:
        call.may_see(after)
    rows = asked.page(call.ledger, most, states=state, requester=call.own_only, urgent=urgent, after=after)
    return {"requests": rows, "next": rows[-1]["request"] if len(rows) == most else None}


def show(request: RequestId, call: Here) -> dict[str, Any]:
    """State, date, receipts, approvals, evidence, and what the log tells of one request."""
    call.may_see(request)
    value = views.show(call.ledger, request)
    return value | {"log": [json.loads(entry) for entry in value["log"]]}


ROUTES = (
    Route("POST", "/requests", put, _IN, 201, {200: "already recorded"}),
    Route("POST", "/requests:batch", put_many, _IN),
    Route("GET", "/requests", list_, tuple(Role)),
    Route("GET", "/requests/{request}", show, tuple(Role)),
)


def _shown(receipt: Receipt) -> dict[str, Any]:
    return vars(receipt) | {"received_at": receipt.received_at.isoformat(), "due": receipt.due.isoformat()}


def _answer(request: str, answer: Any) -> dict[str, Any]:
    if isinstance(answer, Receipt):
        return {"status": 201 if answer.new else 200, **_shown(answer)}
    status, what, hint = said(answer)
    return {"status": status, "request": request, "what": what, "hint": hint}
