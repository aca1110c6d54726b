"""The deletion itself, as a Prefect flow."""

from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from flows.audit_flow import audited
from flows.report import show_choice, show_plan
from flows.tell import tell
from flows.train_original import original_of
from tasks.erase import erase
from tasks.fit_twin import fit_twin
from tasks.register import register
from tasks.unlearn import unlearn
from tmu.config import AUTO, Params
from tmu.errors import GateError, RequestError
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.check_shift import learns_from_holdout
from tmu.steps.choose_method import RETRAIN, choose_method
from tmu.steps.journal import advance, find_entry, find_same, open_entry, refuse_a_second, why
from tmu.steps.legal_hold import refuse_held
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan_deletion import acknowledge, plan_deletion
from tmu.steps.preflight import check_parameters
from tmu.steps.register_model import champion_of
from tmu.steps.tidy import tidy
from tmu.stores.lock import locked
from tmu.unlearn import method_names, needs_twin
from tmu.workspace import Workspace

Method = Literal[(AUTO, *method_names())]  # a drop-down in Prefect's form
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
        method: Unlearning method, or `auto` to weigh it against retraining; empty: the one in params.yaml.
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
        return _completed(workspace, entry, {"verdict": None, "service": "The model in service stays."})
    entry, params = _unlearned(home, entry, params, audit=audit)
    if not audit:
        _register_candidate(home, entry, params)
        return _completed(workspace, entry, {"verdict": None, "service": "Without an audit nothing goes into service."})
    outcome = audited(home, entry, params, golds=2)
    entry = advance(workspace, entry["id"], "audited", **outcome)
    return _completed(workspace, entry, outcome)


def _unlearned(home: str, entry: dict[str, Any], params: Params, *, audit: bool) -> tuple[dict[str, Any], Params]:
    """The stage `unlearned`. Where a gate refuses (twin, shift), exact retraining takes over, and it is said and kept.

    Returns the entry and the parameters with the method that was used in the end.
    """
    before, forget = DataRef.model_validate(entry["plan"]["data"]), ForgetRef.model_validate(entry["forget"])
    base, twin, facts = ModelRef.model_validate(entry["base"]), None, {}
    try:
        _refuse_foreseen(entry, params)
        if needs_twin(params.unlearn.method) or (audit and params.unlearn.method != RETRAIN):
            tell("Fitting the twin problem (once for all requests on this revision and model)")
            twin = fit_twin(home, before, base, params)
        tell(f"Unlearning with {params.unlearn.method}")
        unlearned = unlearn(home, before, forget, base, twin, params)
    except GateError as refusal:
        facts["refused"] = f"{refusal.what} Exact retraining took over from `{params.unlearn.method}`."
        tell(facts["refused"])
        twin, params = None, params.with_method(RETRAIN)
        unlearned = unlearn(home, before, forget, base, None, params)
    facts |= {"twin": twin and twin.model_dump(), "unlearned": unlearned.model_dump(), "method": params.unlearn.method}
    return advance(Workspace.open(home), entry["id"], "unlearned", **facts), params


def _refuse_foreseen(entry: dict[str, Any], params: Params) -> None:
    """Raise GateError where the plan's counts show that the shift test will refuse: no twin is fitted for that."""
    foreseen = entry.get("choice", {}).get("risk", {}).get("refusal")
    if foreseen and learns_from_holdout(params.unlearn.method):
        raise GateError(f"The hold-out is no guide here: {foreseen}.", "Use `--method retrain`.")


def _register_candidate(home: str, entry: dict[str, Any], params: Params) -> None:
    after, forget = DataRef.model_validate(entry["data"]), ForgetRef.model_validate(entry["forget"])
    unlearned, base = (ModelRef.model_validate(entry[name]) for name in ("unlearned", "base"))
    register(home, after, unlearned, params, ["candidate"], forget=forget, parent=base, request=entry["id"])


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
    refuse_held(workspace, open_store(workspace, data), plan.records)
    champion_of(workspace, data, params=workspace.params)  # refuses a model of another revision before anything is done
    choice = choose_method(workspace, plan, method)
    show_plan(plan)
    show_choice(choice)
    tell(f"Request {plan.id}: {len(plan.records)} records, {plan.n_train} of them learned")
    tell(f"Method {choice.method}: {choice.reason}")
    facts = {"method": choice.method, "choice": choice.as_json(), "asked": [sorted(subjects), sorted(records)]}
    return open_entry(workspace, plan, {"forget": acknowledge(workspace, plan).model_dump(), **facts})


def _carry_over(home: str, before: DataRef, after: DataRef, params: Params) -> None:
    """No model learned the erased records: the one in service stays, now as the model of the new revision."""
    workspace = Workspace.open(home)
    champion = champion_of(workspace, before, after)
    if champion is not None:
        register(home, after, champion, params, ["champion"])


def _completed(workspace: Workspace, entry: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    tidy(workspace)
    entry = advance(workspace, entry["id"], "completed", service=outcome["service"])
    shown = {"request": entry["id"], "data": entry["data"], "ui": workspace.registry.ui_command()}
    return {**shown, "choice": entry.get("choice"), "why": why(entry), **outcome}
