"""Flow `audit`: golds, control, numbers, verdict. The flow behind `delete`'s proof; it can be run again on its own."""

from typing import Any

from prefect import flow

from flows.observer import Observer
from flows.report import show_audit
from flows.tell import tell
from flows.train_gold import golds_of
from tasks.models import audit, unlearn
from tasks.registry import register
from tmu.deletion.deletion import AuditVerdict, Deletion, Outcome
from tmu.deletion.journal import Journal
from tmu.errors import RequestError
from tmu.steps.cases import AuditCase, Lineage, UnlearnCase
from tmu.steps.loading import run_record
from tmu.steps.register_model import log_audit, refuse_other_recipe
from tmu.steps.unlearn_model import CONTROL
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


@flow(name="audit")
def audit_flow(request: str, golds: int = 2, home: str = ".") -> dict[str, Any]:
    """Audit (again) what a request led to, with more golds if wanted. What passes goes into service, if it is current.

    Raises RequestError where the request has led to no model (yet).
    """
    workspace = Workspace.open(home)
    deletion = Journal(workspace).find(request)
    if deletion.unlearned is None:
        raise RequestError(f"Request {request} has no unlearned model.", f"Finish it: `tmu delete --resume {request}`.")
    outcome = audited(workspace, deletion, golds)
    service = Observer(workspace).put_into_service(deletion.data, outcome)
    shown = outcome.model_dump(mode="json") | {"service": service}
    return {"request": request, "ui": workspace.registry.ui_command(), **shown}


def audited(workspace: Workspace, deletion: Deletion, golds: int) -> Outcome:
    """Train what the audit compares with, audit, register every row, and tie the numbers to them."""
    refuse_other_recipe(workspace, deletion.base, deletion.params)  # of an earlier version of tmu: see `earlier.py`
    case = _case(workspace, deletion, golds)
    tell("Auditing")
    proof = audit(workspace, case)
    versions = _registered(workspace, deletion, case)
    tell("Writing the numbers to MLflow")
    numbers = log_audit(workspace, proof, versions)
    show_audit(numbers)
    verdict = AuditVerdict.model_validate(numbers["verdict"])
    proved = verdict.outcome == "passed"
    row = deletion.method if proved or deletion.exact else "gold"  # the gold is there, and exact
    return Outcome(
        audit=proof,
        verdict=verdict,
        versions={name: version.version for name, version in versions.items()},
        champion=versions[row].version,
        serves=deletion.unlearned if row == deletion.method else case.golds[0],
        service=_service(deletion, verdict),
        compare=workspace.registry.compare_url_hint(list(versions.values())),
        alignment=workspace.registry.alignment_url_hint(list(versions.values())),
    )


def _case(workspace: Workspace, deletion: Deletion, golds: int) -> AuditCase:
    """The unlearned model with newly made golds and control."""
    learned = {name: getattr(deletion, name) for name in ("forget", "twin", "params")}
    learned |= {"data": deletion.plan.data, "original": deletion.base}
    # a retrained model is the paired gold itself: then all golds are independent ones
    references, control = golds_of(workspace, deletion, golds, first=int(deletion.exact)), None
    if deletion.twin:
        tell("Unlearning a random choice, as control")
        params = deletion.params.model_copy(update={"unlearn": CONTROL})
        control = unlearn(workspace, UnlearnCase(**learned | {"params": params}))
    models = {"golds": tuple(references), "control": control, "unlearned": deletion.unlearned}
    return AuditCase(**learned, **models, notes=_notes(workspace, deletion))


def _registered(workspace: Workspace, deletion: Deletion, case: AuditCase) -> dict[str, Version]:
    """A version for each row that may be compared later; the one that is judged comes last."""
    before, after, params = deletion.plan.data, deletion.data, deletion.params
    lineage = Lineage(forget=deletion.forget, parent=deletion.base, request=deletion.id, run=deletion.run)
    # a version of its own where the base is an earlier deletion's model: that one keeps the numbers of its own audit
    original = deletion.base.model_copy(update={"role": "original"})
    versions = {"original": register(workspace, before, original, params, [])}
    for row, model in zip(("gold", "second gold"), case.golds, strict=False):
        aliases = ["gold"] if row == "gold" else []
        versions[row] = register(workspace, after, model, params, aliases, lineage)
    versions[deletion.method] = register(workspace, after, deletion.unlearned, params, ["candidate"], lineage)
    return versions


def _notes(workspace: Workspace, deletion: Deletion) -> dict[str, str]:
    """For the report page: why this method, and what the shift test found."""
    shift = run_record(workspace, deletion.unlearned)["notes"].get("shift")
    reasons = [text for text in (deletion.plan.choice.reason, deletion.refused) if text]
    found = {"method": " ".join(reasons), "shift test": shift and f"{shift['verdict']}: {shift['reason']}"}
    return {name: text for name, text in found.items() if text}


def _service(deletion: Deletion, verdict: AuditVerdict) -> str:
    """Which model goes into service and why, in a sentence."""
    method = deletion.method
    if deletion.exact:
        return "The retrained model goes into service: it was trained without the records."
    if verdict.outcome == "failed":
        reasons = [reason.partition(": ") for reason in verdict.reasons]
        failed = "; ".join(text.rstrip(".") for outcome, _, text in reasons if outcome == "failed")
        return f"The retrained gold goes into service: `{method}` did not pass its audit ({failed})."
    if verdict.outcome == "inconclusive":
        return f"The retrained gold goes into service: the audit of `{method}` is inconclusive for so few records."
    return f"`{method}` goes into service: it passed its audit."
