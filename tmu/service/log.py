"""The audit log: check it whole."""

from typing import Annotated, Any

from fastapi import Query

from tmu.ledger.log import Head
from tmu.service.guard import Here
from tmu.service.roles import Role, Route
from tmu.steps.ledger.log_heads import verify_log

HeadText = Annotated[
    str | None, Query(pattern=r"^(0|[1-9][0-9]{0,17}):[0-9a-f]{64}$", description="a head noted before")
]


def verify(call: Here, head: HeadText = None) -> dict[str, Any]:
    """Check every entry, all requests' states against them, and the heads that were noted outside. Returns the head.

    409 names the first broken entry. compared: the newest head of each place; silent: places that could not be asked.
    With `head`, a head noted before, the log is compared with that one alone.
    """
    with call.service.heavy.turn():
        found = verify_log(call.service.workspace, call.ledger, Head.parse(head) if head is not None else None)
    return {"sound": True, **found.model_dump(mode="json")}


ROUTES = (Route("GET", "/log/verification", verify, (Role.AUDITOR,)),)
