"""The certificate of a completed deletion, and what the ledger itself states of it."""

from fastapi import Response

from tmu.certificate.keyring import Keyring
from tmu.files import canonical_json
from tmu.ledger.errors import ConflictError
from tmu.ledger.transition import find
from tmu.ledger.states import State
from tmu.service.guard import Here
from tmu.service.requests import RequestId
from tmu.service.roles import Role, Route
from tmu.steps.issue_certificate import has_certificate, stored
from tmu.steps.ledger.state_deletion import state_deletion


def show(request: RequestId, call: Here) -> Response:
    """The signed certificate, as a file: `tmu-verify` checks it offline. 409 before there is one."""
    call.may_see(request)
    if not has_certificate(call.service.workspace, request):
        raise _none(request, call)
    name = f'attachment; filename="{request}.certificate.json"'
    content = stored(call.service.workspace, request).read_bytes()
    return Response(content, media_type="application/json", headers={"Content-Disposition": name})


def keys(call: Here) -> Response:
    """The public keys of certificates, signed: which is in force when, and which is revoked. 409 before the first."""
    path = Keyring(call.service.workspace).path
    if not path.exists():
        raise ConflictError("There is no key yet.", "The first certificate makes one.")
    return Response(path.read_bytes(), media_type="application/json")


def state(request: RequestId, call: Here) -> Response:
    """What the ledger states of a completed request, not signed: plan, approval, every state, evidence, its head.

    409 before it is completed.
    """
    call.may_see(request)
    said = state_deletion(call.service.workspace, call.ledger, request)
    return Response(canonical_json(said), media_type="application/json")


def _none(request: str, call: Here) -> ConflictError:
    with call.ledger.read() as connection:
        state = find(connection, request).state
    if state != State.COMPLETED:
        return ConflictError(f"Request {request} is `{state}`, not completed.", "Ask again when it is.")
    return ConflictError(
        f"Request {request} is completed, but it has no certificate.", "`tmu certificate issue` says why."
    )


ROUTES = (
    Route("GET", "/requests/{request}/certificate", show, tuple(Role)),
    Route("GET", "/requests/{request}/statement", state, tuple(Role)),
    Route("GET", "/certificate-keys", keys, tuple(Role)),
)
