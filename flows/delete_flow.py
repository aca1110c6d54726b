"""The deletion itself, as a Prefect flow."""

from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from flows.audit_flow import audited
from flows.report import show_plan
from flows.tell import tell
from flows.train_original import original_of
from tasks.erase import erase
from tasks.fit_twin import fit_twin
from tasks.register import register
from tasks.unlearn import unlearn
from tmu.config import Params
from tmu.errors import GateError, RequestError
from tmu.refs import DataRef, ForgetRef, ModelRef, TwinRef
from tmu.steps.journal import advance, find_entry, find_same, open_entry, refuse_a_second
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan_deletion import acknowledge, plan_deletion
from tmu.steps.preflight import check_parameters
from tmu.steps.register_model import champion_of
from tmu.steps.tidy import tidy
from tmu.stores.lock import locked
from tmu.unlearn import method_names, needs_twin
from tmu.workspace import Workspace

Method = Literal[tuple(method_names())]  # a drop-down in Prefect's form
Key = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]  # a raw id is refused before Prefect stores it


@flow(name="delete")
def delete_flow(
    home: str = ".",
    subjects: list[Key] | None = None,
    records: list[Key] | None = None,
    method: Method | None = None,
    audit: bool = True,
    resume: str | None = None,
) -> dict[str, Any]:
    """Delete subjects and records from data and model.

    Args:
        home: Folder of the workspace.
        subjects: Keys (HMAC) of the people to delete; `tmu plan --subject ID --keys-only` prints them. Never raw ids:
            Prefect keeps parameters.
        records: Keys of single records to delete.
        method: Unlearning method; empty: the one in params.yaml.
        audit: Prove the result against two retrained models (golds).
        resume: Id of an interrupted request to go on with.
    """
    workspace = Workspace.open(home)
    entry = _received(workspace, subjects or [], records or [], method, resume)
    params = workspace.params.with_method(entry["method"])
    before, forget = DataRef.model_validate(entry["plan"]["data"]), ForgetRef.model_validate(entry["forget"])
    if entry["plan"]["n_train"] and not entry.get("base"):
        base = champion_of(workspace, before) or original_of(home, before)
        entry = advance(workspace, entry["id"], "acknowledged", base=base.model_dump())
    tell("Erasing the records from the data")
    after = erase(home, before, forget)
    entry = advance(workspace, entry["id"], "erased", data=after.model_dump())
    if not entry["plan"]["n_train"]:
        _carry_over(home, before, after, params)
        return _completed(workspace, entry, {"verdict": None})
    base = ModelRef.model_validate(entry["base"])
    twin, params = _twin_or_retrain(home, before, base, params, needed=audit)
    tell(f"Unlearning with {params.unlearn.method}")
    unlearned = unlearn(home, before, forget, base, twin, params)
    facts = {"twin": twin and twin.model_dump(), "unlearned": unlearned.model_dump(), "method": params.unlearn.method}
    entry = advance(workspace, entry["id"], "unlearned", **facts)
    if not audit:
        register(home, after, unlearned, params, ["candidate"], forget=forget, parent=base, request=entry["id"])
        return _completed(workspace, entry, {"verdict": None})
    outcome = audited(home, entry, params, golds=2)
    entry = advance(workspace, entry["id"], "audited", **outcome)
    return _completed(workspace, entry, outcome)


def _twin_or_retrain(
    home: str, data: DataRef, base: ModelRef, params: Params, *, needed: bool
) -> tuple[TwinRef | None, Params]:
    """The twin, where method or audit need it. Where its gate refuses, exact retraining takes over, and it is said."""
    if not (needed or needs_twin(params.unlearn.method)):
        return None, params
    tell("Fitting the twin problem (once for all requests on this revision and model)")
    try:
        return fit_twin(home, data, base, params), params
    except GateError as refusal:
        tell(f"{refusal.what} Exact retraining takes over.")
        return None, params.with_method("retrain")


def _received(
    workspace: Workspace, subjects: list[str], records: list[str], method: str | None, resume: str | None
) -> dict[str, Any]:
    """The journal's entry: a resumed one, the one of the same request, or a new one after planning."""
    same = find_entry(workspace, resume) if resume else find_same(workspace, subjects, records)
    if same is not None and same["stage"] in ("completed", "withdrawn"):
        raise RequestError(f"Request {same['id']} is {same['stage']} already.", "There is nothing to go on with.")
    if same is not None:
        tell(f"Going on with request {same['id']} after stage `{same['stage']}`")
        return same
    with locked(workspace.state("request.lock")):  # two requests at once must not both be acknowledged
        return _acknowledged(workspace, subjects, records, method)


def _acknowledged(workspace: Workspace, subjects: list[str], records: list[str], method: str | None) -> dict[str, Any]:
    """A new request: planned, checked, and written down."""
    refuse_a_second(workspace)
    data = data_ref(workspace)
    check_parameters(open_store(workspace, data), workspace.params, method)
    plan = plan_deletion(workspace, data, subjects, records)
    champion_of(
        workspace, data, params=workspace.params
    )  # refuses a model of another revision now, before the request is acknowledged
    show_plan(plan)
    tell(f"Request {plan.id}: {len(plan.records)} records, {plan.n_train} of them learned")
    forget = acknowledge(workspace, plan)
    chosen = method or workspace.params.unlearn.method
    return open_entry(
        workspace, plan, {"forget": forget.model_dump(), "method": chosen, "asked": [sorted(subjects), sorted(records)]}
    )


def _carry_over(home: str, before: DataRef, after: DataRef, params: Params) -> None:
    """No model learned the erased records: the one in service stays, now as the model of the new revision."""
    workspace = Workspace.open(home)
    champion = champion_of(workspace, before, after)
    if champion is not None:
        register(home, after, champion, params, ["champion"])


def _completed(workspace: Workspace, entry: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    tidy(workspace)
    advance(workspace, entry["id"], "completed")
    return {"request": entry["id"], "data": entry["data"], "ui": workspace.registry.ui_command(), **outcome}
