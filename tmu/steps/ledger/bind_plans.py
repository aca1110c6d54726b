"""Plan requests of the ledger and bind the plans to them: one, or ten thousand. Nothing is written but these bindings.

What is bound, and hashed, is what an approver is shown. Whether an approval stands when a request is planned again is
decided by the plan's `essence` alone: a nightly batch gives a new revision, moves records between shards and changes
every forecast, and none of that is a reason to ask again.

Cost: the revision's bytes are read once for their digest and the keys once for the index; then under a millisecond a
request, and one transaction for 400 of them.
"""

import json
from collections.abc import Sequence
from typing import Any

from tmu.data.info import read_info
from tmu.deletion.plan import Asked, essence
from tmu.errors import RequestError, TmuError
from tmu.ledger import plans
from tmu.ledger.actor import Actor
from tmu.ledger.asked import named_keys_of, waiting_for_a_plan
from tmu.ledger.errors import ConflictError
from tmu.ledger.plans import Bound, Wanted
from tmu.ledger.store import Ledger
from tmu.ledger.transition import Request
from tmu.steps.plan import Planner
from tmu.workspace import Workspace

MOST = 10_000
"""Requests in one call."""


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


def plan_requests(
    workspace: Workspace,
    ledger: Ledger,
    requests: Sequence[str] | None,
    actor: Actor,
    method: str | None = None,
    *,
    renew: bool = False,
) -> dict[str, Bound | TmuError]:
    """Plan against the data and params.yaml as they are now, bind, and put before the approver; a plan that reaches a
    person on hold leaves its request `held`. Once more changes nothing where the plans say the same.

    requests: ids, or None for all that are queued, oldest first, at most MOST. method: by name, `auto`, or None for the
    one in params.yaml. renew: keep the method that was asked for the plan in force. The answers are by request: what
    was bound, or ConflictError for a request that cannot be planned in its state or is for another dataset,
    UnknownError, or RequestError where it cannot be honoured (see `Planner.plan`). Raises ConfigError, StorageError.
    """
    dataset = read_info(workspace.data).dataset
    with ledger.read() as connection:
        ids = waiting_for_a_plan(connection, dataset, MOST) if requests is None else list(dict.fromkeys(requests))
        rows = plans.rows_of(connection, ids)
        named, before = named_keys_of(connection, rows), _asked_before(connection, rows) if renew else {}
    answers: dict[str, Any] = {id_: plans.unfit(rows, id_) or _elsewhere(rows[id_], dataset) for id_ in ids}
    fit = {id_: Asked.of(*named[id_]) for id_ in ids if answers[id_] is None}
    wanted = []
    if fit:
        planner = Planner(workspace.reread())
        for id_, asked in fit.items():
            try:
                wanted.append(_wanted(planner, id_, asked, before.get(id_, method)))
            except RequestError as error:
                answers[id_] = error
    bound = plans.bind_all(ledger, wanted, actor, essence=essence, ask=True)
    return answers | dict(zip((each.request for each in wanted), bound, strict=True))


def _wanted(planner: Planner, request: str, asked: Asked, method: str | None) -> Wanted:
    """What is to be bound: the plan of what is left of a request; of all of it where nothing is, which is refused."""
    plan = planner.plan(planner.left_of(asked) or asked, method)
    return Wanted(request, plan.body, planner.people_behind(plan))


def _elsewhere(row: Request, dataset: str) -> ConflictError | None:
    if row.dataset == dataset:
        return None
    return ConflictError("The request is for another dataset than this workspace holds.", "Plan it where that lies.")


def _asked_before(connection: Any, rows: dict[str, Request]) -> dict[str, str]:
    """The methods that were asked for the plans in force."""
    bodies = plans.bodies_of(connection, rows)
    return {request: json.loads(body)["choice"]["asked"] for request, body in bodies.items()}
