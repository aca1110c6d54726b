"""Decisions on a request beside its approval: identity, denial, cancelling, extension."""

from typing import Any

from tmu.ledger import decisions
from tmu.service.bodies import CancelBody, OptionalReasonBody, ReasonBody
from tmu.service.guard import Here
from tmu.service.requests import RequestId
from tmu.service.roles import Role, Route


def verify_identity(request: RequestId, body: OptionalReasonBody, call: Here) -> dict[str, Any]:
    """Record that the requester is who they say; the clock runs on."""
    call.may_see(request)
    return {"request": request, "state": decisions.verify_identity(call.ledger, request, call.actor, body.reason)}


def deny(request: RequestId, body: ReasonBody, call: Here) -> dict[str, Any]:
    """Deny a request, with the reason for the requester. Not past the point of no return."""
    decisions.deny(call.ledger, request, body.reason, call.actor)
    return {"request": request, "state": "denied"}


def cancel(request: RequestId, body: CancelBody, call: Here) -> dict[str, Any]:
    """Take a request back of which nothing was erased yet; a requester's token: one of its own."""
    call.may_see(request)
    withdrawn = body.withdrawn or call.own_only is not None
    decisions.cancel(call.ledger, request, body.reason, call.actor, withdrawn=withdrawn)
    return {"request": request, "state": "cancelled"}


def extend(request: RequestId, body: ReasonBody, call: Here) -> dict[str, Any]:
    """Two more months, once, within the first. The requester must be informed, with the reason."""
    due = decisions.extend(call.ledger, request, body.reason, call.actor)
    return {"request": request, "due": due.isoformat()}


ROUTES = (
    Route("POST", "/requests/{request}/identity", verify_identity, (Role.REQUESTER, Role.OPERATOR)),
    Route("POST", "/requests/{request}/denial", deny, (Role.APPROVER, Role.OPERATOR)),
    Route("POST", "/requests/{request}/cancellation", cancel, (Role.REQUESTER, Role.OPERATOR)),
    Route("POST", "/requests/{request}/extension", extend, (Role.OPERATOR,)),
)
