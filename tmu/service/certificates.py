"""The certificate of a completed deletion."""

from fastapi import Response

from tmu.files import canonical_json
from tmu.service.guard import Here
from tmu.service.requests import RequestId
from tmu.service.roles import Role, Route
from tmu.steps.ledger.certify import certify


def show(request: RequestId, call: Here) -> Response:
    """What was done for a completed request, as canonical JSON: plan, dates, evidence, the ledger's head. Not signed.

    409 before it is completed.
    """
    call.may_see(request)
    return Response(
        canonical_json(certify(call.service.workspace, call.ledger, request)), media_type="application/json"
    )


ROUTES = (Route("GET", "/requests/{request}/certificate", show, tuple(Role)),)
