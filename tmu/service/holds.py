"""Legal holds: place, release, list."""

from typing import Annotated, Any

from fastapi import Path

from tmu.ledger import holds, views
from tmu.service.bodies import HoldBody, ReasonBody
from tmu.service.guard import Here
from tmu.service.naming import held_subject
from tmu.service.roles import Role, Route

HoldId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="the hold's id")]


def place(body: HoldBody, call: Here) -> dict[str, Any]:
    """Place a hold. What it covers is received and waits; `stopped` names what it stops now. The clocks run on.

    `too_late` names the requests whose erasing has begun: they are finished and flagged.
    """
    dataset = call.service.dataset if body.scope == "dataset" else None
    scope = holds.Scope(body.scope, dataset, held_subject(call.service, body))
    placed = holds.hold(call.ledger, scope, body.reason, call.actor)
    return {"hold": placed.id, "scope": scope.kind, "stopped": placed.stopped, "too_late": placed.too_late}


def release(hold: HoldId, body: ReasonBody, call: Here) -> dict[str, Any]:
    """Release a legal hold. Requests that no other hold covers continue, and are planned again."""
    return {"hold": hold, "released": holds.release(call.ledger, hold, body.reason, call.actor)}


def list_(call: Here) -> list[dict[str, Any]]:
    """The holds in force, oldest first. A person is named by key (HMAC)."""
    return views.active_holds(call.ledger)


ROUTES = (
    Route("POST", "/holds", place, (Role.OPERATOR,), 201),
    Route("POST", "/holds/{hold}/release", release, (Role.OPERATOR,)),
    Route("GET", "/holds", list_, (Role.OPERATOR, Role.AUDITOR)),
)
