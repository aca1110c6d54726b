"""Resolve a batch against the data as they are, once, and write that down: one forget set for all its requests."""

from dataclasses import replace
from typing import Any

from tmu.errors import RequestError
from tmu.ledger.errors import ConflictError
from tmu.refs import DataRef
from tmu.steps.batch import Work, asked_by, dataset_of
from tmu.steps.choose_method import RETRAIN, choose_method
from tmu.steps.journal import advance, find_batch, open_entry, refuse_a_second
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan_deletion import Plan, acknowledge, plan_deletion
from tmu.steps.preflight import check_parameters
from tmu.stores.lock import locked
from tmu.workspace import Workspace


def plan_batch(workspace: Workspace, work: Work) -> dict[str, Any] | None:
    """The journal's entry of a batch: the one that is there, or a new one. None where all was erased before.

    The method is the one that was approved; exact retraining where the requests' approvals name several. Raises
    RequestError where all requests together ask for more than can be erased (see `plan_deletion`).
    """
    with locked(workspace.state("request.lock")):  # also for looking: a late attempt may be planning the same batch
        entry = find_batch(workspace, work.batch) or _entry(workspace, work)
        return entry and _with_run(workspace, work, entry)


def _entry(workspace: Workspace, work: Work) -> dict[str, Any] | None:
    """A new entry; None where all was erased before."""
    _refuse_a_second(workspace)
    data = data_ref(workspace)
    subjects, records, methods = asked_by(workspace, work)
    plan = _plan(workspace, data, subjects, records)
    if plan is None:
        return None
    method = methods.pop() if len(methods) == 1 else RETRAIN
    check_parameters(open_store(workspace, data), workspace.params, method)
    choice = replace(choose_method(workspace, plan, method), reason=f"`{method}` was approved.")
    facts = {"batch": work.batch, "method": choice.method, "choice": choice.as_json(), "asked": [[], []]}
    return open_entry(workspace, plan, {"forget": acknowledge(workspace, plan).model_dump(), **facts})


def _refuse_a_second(workspace: Workspace) -> None:
    """Raise ConflictError while another deletion is unfinished: that is no fault of this batch, which stays open."""
    try:
        refuse_a_second(workspace)
    except RequestError as error:
        raise ConflictError(error.what, error.mend) from error


def _with_run(workspace: Workspace, work: Work, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with MLflow's run of the whole batch, under which its models are registered."""
    if entry.get("run"):
        return entry
    tags = {"batch": work.batch, "requests": str(len(work.requests)), "method": entry["method"]}
    run = workspace.registry.start_batch(f"batch {work.batch}", tags, dataset=dataset_of(workspace))
    return advance(workspace, entry["id"], "acknowledged", run=run)


def _plan(workspace: Workspace, data: DataRef, subjects: set[str], records: set[str]) -> Plan | None:
    """The plan of what is still there; None where nothing is."""
    index = open_store(workspace, data).index()
    people = [key for key in sorted(subjects) if len(index.find_subject(key))]
    gone = {key for key in records if index.is_erased(key)}
    single = sorted(records - gone)
    strangers = [key for key in subjects.difference(people) if not index.is_erased_subject(key)]
    if strangers:
        raise ConflictError(
            f"{len(strangers)} people whose deletion was approved are not in these data.",
            "Look whether the data were exchanged since the approval.",
        )
    return plan_deletion(workspace, data, people, single) if people or single else None
