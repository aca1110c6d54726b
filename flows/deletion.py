"""The deletion itself, whoever asked: erase, unlearn, audit, put into service, tidy, look again.

The order is: write down, erase the data, then the model. Every stage is idempotent and journalled, so that a crash
anywhere is mended by running the same again; it takes effect once. `course` is told how far it has come.
"""

from typing import Any

from flows.audit_flow import audited
from flows.course import Course
from flows.tell import tell
from flows.train_original import original_of
from tasks.erase import erase
from tasks.fit_twin import fit_twin
from tasks.promote import promote
from tasks.register import register
from tasks.tidy import tidy
from tasks.unlearn import unlearn
from tasks.verify_deletion import verify_deletion
from tmu.config import Params
from tmu.errors import GateError
from tmu.ledger.states import State
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.check_shift import learns_from_holdout
from tmu.steps.choose_method import RETRAIN
from tmu.steps.journal import advance, why
from tmu.steps.register_model import champion_of
from tmu.unlearn import needs_twin
from tmu.workspace import Workspace

UNAUDITED = {"verdict": None, "service": "Without an audit nothing goes into service."}


def carry_out(home: str, entry: dict[str, Any], course: Course, *, audit: bool = True) -> dict[str, Any]:
    """Take an acknowledged entry of the journal to its end, from wherever it stopped."""
    workspace = Workspace.open(home)
    params = workspace.params.with_method(entry["method"])
    before, forget = DataRef.model_validate(entry["plan"]["data"]), ForgetRef.model_validate(entry["forget"])
    if entry["plan"]["n_train"] and not entry.get("base"):
        base = champion_of(workspace, before) or original_of(home, before)
        entry = advance(workspace, entry["id"], "acknowledged", base=base.model_dump())
    tell("Erasing the records from the data")
    after = erase(home, before, forget)
    entry = advance(workspace, entry["id"], "erased", data=after.model_dump())
    course.data_erased(after)
    if not entry["plan"]["n_train"]:
        return _ended(home, entry, course, _carried_over(home, before, after, params, course))
    course.reach(State.UNLEARNING)
    entry, params = _unlearned(home, entry, params, audit=audit)
    if entry.get("refused"):
        course.reach(State.ESCALATED_RETRAIN)
    if not audit:
        _register_candidate(home, entry, params)
        return _ended(home, entry, course, UNAUDITED)
    course.reach(State.AUDITING)
    outcome = audited(home, entry, params, golds=2)
    entry = advance(workspace, entry["id"], "audited", **outcome)
    return _ended(home, entry, course, _cut_over(home, entry, outcome, course))


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


def _cut_over(home: str, entry: dict[str, Any], outcome: dict[str, Any], course: Course) -> dict[str, Any]:
    """Put into service what the audit decided; a gate that failed means the retrained gold."""
    if outcome["versions"].get(entry["method"]) != outcome["champion"]:
        course.reach(State.ESCALATED_RETRAIN)
    course.reach(State.PROMOTING)
    return course.cut_over(home, DataRef.model_validate(entry["data"]), outcome)


def _carried_over(home: str, before: DataRef, after: DataRef, params: Params, course: Course) -> dict[str, Any]:
    """No model learned the erased records: the one in service stays, now as the model of the new revision."""
    workspace = Workspace.open(home)
    champion = champion_of(workspace, before, after)
    course.reach(State.PROMOTING)
    if champion is not None:
        version = register(home, after, champion, params, [])
        promote(home, after, version.version, course.work)
    return {"verdict": None, "service": "The model in service stays."}


def _ended(home: str, entry: dict[str, Any], course: Course, outcome: dict[str, Any]) -> dict[str, Any]:
    """Tidy, look again, and close the journal's entry."""
    course.reach(State.PURGING)
    tidy(home)
    course.reach(State.VERIFYING)
    checked = verify_deletion(home, entry) if outcome is not UNAUDITED else []
    workspace = Workspace.open(home)
    entry = advance(workspace, entry["id"], "completed", service=outcome["service"])
    shown = {"request": entry["id"], "data": entry["data"], "ui": workspace.registry.ui_command()}
    return {**shown, "choice": entry.get("choice"), "why": why(entry), "checked": checked, **outcome}
