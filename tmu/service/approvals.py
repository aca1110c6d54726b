"""Approve a plan by its hash. That the approver is not the requester is the ledger's to enforce."""

from typing import Any

from tmu.ledger import approval_codes
from tmu.ledger.approvals import approve as approve_plan
from tmu.service.bodies import ApprovalBody, CodeBody
from tmu.service.guard import Here
from tmu.service.requests import RequestId
from tmu.service.roles import Role, Route


def approve(request: RequestId, body: ApprovalBody, call: Here) -> dict[str, Any]:
    """Approve the plan of that hash, as it was shown. 409: the plan has changed; 403: the requester cannot approve."""
    approve_plan(call.ledger, request, body.plan_hash, call.actor, body.reason)
    return {"request": request, "state": "approved", "plan_hash": body.plan_hash, "approver": call.actor.name}


def issue_code(request: RequestId, body: CodeBody, call: Here) -> dict[str, Any]:
    """A code, valid for this plan and one hour, by which you approve or deny in a form without authentication.

    Whoever has it decides in your name: type it into the form of this request and nowhere else.
    """
    code, ends = approval_codes.issue(call.service.keys, call.ledger, request, body.plan_hash, call.actor)
    return {"request": request, "plan_hash": body.plan_hash, "code": code, "ends": ends.isoformat()}


ROUTES = (
    Route("POST", "/requests/{request}/approval", approve, (Role.APPROVER,)),
    Route("POST", "/requests/{request}/approval-code", issue_code, (Role.APPROVER,)),
)
