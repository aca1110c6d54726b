"""Flow `audit`: golds, control, numbers, verdict. The flow behind `delete`'s proof; it can be run again on its own."""

from typing import Any

from prefect import flow

from flows.course import Course
from flows.report import show_audit
from flows.tell import tell
from flows.train_gold import golds_of
from tasks.audit import audit
from tasks.register import register
from tasks.unlearn import unlearn
from tmu.config import Params
from tmu.errors import RequestError
from tmu.refs import AuditRef, DataRef, ForgetRef, ModelRef, TwinRef
from tmu.steps.choose_method import RETRAIN
from tmu.steps.journal import find_entry, why
from tmu.steps.loading import run_record
from tmu.steps.register_model import log_audit
from tmu.steps.unlearn_model import CONTROL
from tmu.workspace import Workspace


@flow(name="audit")
def audit_flow(request: str, golds: int = 2, home: str = ".") -> dict[str, Any]:
    """Audit (again) what a request led to, with more golds if wanted. What passes goes into service, if it is current.

    Raises RequestError where the request has led to no model (yet).
    """
    workspace = Workspace.open(home)
    entry = find_entry(workspace, request)
    if "unlearned" not in entry:
        raise RequestError(f"Request {request} has no unlearned model.", f"Finish it: `tmu delete --resume {request}`.")
    outcome = audited(home, entry, workspace.params.with_method(entry["method"]), golds)
    outcome = Course().cut_over(home, DataRef.model_validate(entry["data"]), outcome)
    return {"request": request, "ui": workspace.registry.ui_command(), **outcome}


def audited(home: str, entry: dict[str, Any], params: Params, golds: int) -> dict[str, Any]:
    """Train what the audit compares with, audit, register every row, and tie the numbers to them."""
    workspace = Workspace.open(home)
    before = DataRef.model_validate(entry["plan"]["data"])
    after = DataRef.model_validate(entry["data"])
    forget, base = ForgetRef.model_validate(entry["forget"]), ModelRef.model_validate(entry["base"])
    unlearned = ModelRef.model_validate(entry["unlearned"])
    twin = TwinRef.model_validate(entry["twin"]) if entry["twin"] else None
    # a retrained model is the paired gold itself: then all golds are independent ones
    references = golds_of(home, before, forget, golds, first=int(params.unlearn.method == "retrain"))
    control = None
    if twin:
        tell("Unlearning a random choice, as control")
        control = unlearn(home, before, forget, base, twin, params.model_copy(update={"unlearn": CONTROL}))
    tell("Auditing")
    proof: AuditRef = audit(
        home, before, forget, base, references, control, unlearned, twin, params, _notes(workspace, entry)
    )
    lineage = {"forget": forget, "parent": base, "request": entry["id"], "parent_run": entry.get("run")}
    # a version of its own where the base is an earlier deletion's model: that one keeps the numbers of its own audit
    versions = {"original": register(home, before, base.model_copy(update={"role": "original"}), params, [])}
    for row, model in zip(("gold", "second gold"), references, strict=False):
        versions[row] = register(home, after, model, params, ["gold"] if row == "gold" else [], **lineage)
    versions[params.unlearn.method] = register(home, after, unlearned, params, ["candidate"], **lineage)
    tell("Writing the numbers to MLflow")
    numbers = log_audit(workspace, proof, versions)
    show_audit(numbers)
    proved = numbers["verdict"]["passed"] and numbers["verdict"]["conclusive"]
    exact = params.unlearn.method == RETRAIN  # the paired gold itself; those of the audit have other seeds
    row = params.unlearn.method if proved or exact else "gold"  # the gold is there, and exact
    return {
        "audit": proof.model_dump(),
        "verdict": numbers["verdict"],
        "versions": {row: version.version for row, version in versions.items()},
        "champion": versions[row].version,
        "serves": (unlearned if row == params.unlearn.method else references[0]).model_dump(),
        "service": _service(params.unlearn.method, numbers["verdict"]),
        "compare": workspace.registry.compare_url_hint(list(versions.values())),
    }


def _notes(workspace: Workspace, entry: dict[str, Any]) -> dict[str, str]:
    """For the report page: why this method, and what the shift test found."""
    shift = run_record(workspace, ModelRef.model_validate(entry["unlearned"]))["notes"].get("shift")
    reasons = why({**entry, "service": None})
    found = {"method": " ".join(reasons), "shift test": shift and f"{shift['verdict']}: {shift['reason']}"}
    return {name: text for name, text in found.items() if text}


def _service(method: str, verdict: dict[str, Any]) -> str:
    """Which model goes into service and why, in a sentence."""
    if method == RETRAIN:
        return "The retrained model goes into service: it never saw the records."
    if not verdict["passed"]:
        reasons = [reason.partition(": ") for reason in verdict["reasons"]]
        failed = "; ".join(text.rstrip(".") for outcome, _, text in reasons if outcome == "failed")
        return f"The retrained gold goes into service: `{method}` did not pass its audit ({failed})."
    if not verdict["conclusive"]:
        return (
            f"The retrained gold goes into service: the request is too small for an audit of `{method}` to prove much."
        )
    return f"`{method}` goes into service: it passed its audit."
