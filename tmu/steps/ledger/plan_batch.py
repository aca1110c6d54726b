"""The deletion of a batch: all its requests planned as one on the data as they are, once, and written down."""

import json

from tmu.config import Params
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import RETRAIN, Asked, Plan, rules_of
from tmu.errors import RequestError
from tmu.ledger.asked import named_keys
from tmu.ledger.errors import ConflictError
from tmu.ledger.place import opened
from tmu.ledger.plans import bound_plan
from tmu.ledger.transition import find
from tmu.steps.acknowledge import written_down
from tmu.steps.ledger.batch import Work, dataset_of
from tmu.steps.plan import Planner
from tmu.stores.lock import locked
from tmu.workspace import Workspace


def plan_batch(workspace: Workspace, work: Work) -> Deletion | None:
    """The deletion of a batch: the one that is there, or a new one. None where all was erased before.

    The method is the one that was approved; exact retraining where the requests' approvals name several. Raises
    RequestError where all requests together ask for more than can be erased (see `Planner.plan`), ConflictError where
    params.yaml is not what the plans were approved with.
    """
    with locked(workspace.state("request.lock")):  # also for looking: a late attempt may be planning the same batch
        deletion = Journal(workspace).of_batch(work.batch) or _planned(workspace, work)
        return deletion and _with_run(workspace, work, deletion)


def _planned(workspace: Workspace, work: Work) -> Deletion | None:
    _refuse_a_second(workspace)
    asked, methods = _approved(workspace, work)
    planner = Planner(workspace)
    left = planner.left_of(asked)
    if not left:
        return None
    strangers = [key for key in left.subjects if not len(planner.index.find_subject(key))]
    if strangers:
        raise ConflictError(
            f"{len(strangers)} people whose deletion was approved are not in these data.",
            "Check whether the data were replaced since the approval.",
        )
    method = methods.pop() if len(methods) == 1 else RETRAIN
    return written_down(workspace, _as_approved(planner.plan(left, method)), Asked(batch=work.batch))


def _approved(workspace: Workspace, work: Work) -> tuple[Asked, set[str]]:
    """What the batch's requests name, and the methods that were approved for them."""
    subjects: set[str] = set()
    records: set[str] = set()
    methods: set[str] = set()
    with opened(workspace) as ledger, ledger.read() as connection:
        for request in work.requests:
            people, single = named_keys(connection, request)
            subjects.update(people)
            records.update(single)
            body = json.loads(bound_plan(connection, find(connection, request)).body)
            _refuse_other_rules(request, body, workspace.params)
            methods.add(body["choice"]["method"])
    return Asked.of(subjects, records), methods


def _refuse_other_rules(request: str, body: dict, params: Params) -> None:
    """Raise ConflictError, which leaves the batch open, where the parameters are not those that were approved."""
    approved = body.get("rules")
    if approved is not None and approved != rules_of(params.with_method(body["choice"]["method"])):
        raise ConflictError(
            f"params.yaml is not what the plan of request {request} was approved with.",
            "Restore it; the next run resumes the batch (after three attempts: `tmu ledger reopen`).",
        )


def _as_approved(plan: Plan) -> Plan:
    choice = plan.choice.model_copy(update={"reason": f"`{plan.choice.method}` was approved."})
    return plan.model_copy(update={"choice": choice})


def _refuse_a_second(workspace: Workspace) -> None:
    """Raise ConflictError while another deletion is unfinished: that is no fault of this batch, which stays open."""
    try:
        Journal(workspace).refuse_a_second()
    except RequestError as error:
        raise ConflictError(error.what, error.hint) from error


def _with_run(workspace: Workspace, work: Work, deletion: Deletion) -> Deletion:
    """The deletion with MLflow's run of the whole batch, under which its models are registered."""
    if deletion.run:
        return deletion
    tags = {"batch": work.batch, "requests": str(len(work.requests)), "method": deletion.method}
    run = workspace.registry.start_batch(f"batch {work.batch}", tags, dataset=dataset_of(workspace))
    return Journal(workspace).advance(deletion, Stage.ACKNOWLEDGED, run=run)
