"""Approve a plan by its hash. That the approver is not the requester is the ledger's to enforce."""

from typing import Any

from tmu.ledger.approvals import approve as approve_plan
from tmu.service.bodies import ApprovalBody
from tmu.service.guard import Here
from tmu.service.requests import RequestId
from tmu.service.roles import Role, Route


def approve(request: RequestId, body: ApprovalBody, call: Here) -> dict[str, Any]:
    """Approve the plan of that hash, as it was shown. 409: the plan has changed; 403: who asked may not approve."""
    approve_plan(call.ledger, request, body.plan_hash, call.actor, body.reason)
    return {"request": request, "state": "approved", "plan_hash": body.plan_hash, "approver": call.actor.name}


ROUTES = (Route("POST", "/requests/{request}/approval", approve, (Role.APPROVER,)),)
