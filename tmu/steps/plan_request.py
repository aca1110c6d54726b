"""Plan one request of the ledger and bind the plan to it; see `plan_requests`."""

from tmu.errors import TmuError
from tmu.ledger.actor import Actor
from tmu.ledger.plans import Bound
from tmu.ledger.store import Ledger
from tmu.steps.plan_requests import plan_requests
from tmu.workspace import Workspace


def plan_request(
    workspace: Workspace,
    ledger: Ledger,
    request: str,
    actor: Actor,
    method: str | None = None,
    *,
    renew: bool = False,
) -> Bound:
    """The plan of one request, as by `plan_requests`. Raises what stands there as an answer."""
    (answer,) = plan_requests(workspace, ledger, [request], actor, method, renew=renew).values()
    if isinstance(answer, TmuError):
        raise answer
    return answer
