"""The audit log: check it whole."""

from typing import Annotated, Any

from fastapi import Query

from tmu.ledger import proof
from tmu.ledger.log import Head
from tmu.service.guard import Here
from tmu.service.roles import Role, Route

HeadText = Annotated[
    str | None, Query(pattern=r"^(0|[1-9][0-9]{0,17}):[0-9a-f]{64}$", description="a head noted before")
]


def verify(call: Here, head: HeadText = None) -> dict[str, Any]:
    """Check every entry, and all requests' states against them. Returns the head, to be noted elsewhere.

    409 names the first broken entry. With a head noted before it also finds a log that was cut off or written anew.
    """
    with call.service.heavy.turn():
        found = proof.verify(call.ledger, Head.parse(head) if head is not None else None)
    return {"sound": True, "entries": found.seq, "head": str(found)}


ROUTES = (Route("GET", "/log/verification", verify, (Role.AUDITOR,)),)
