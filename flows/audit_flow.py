"""Audits: by the references' table, or beside golds and control. The flow `audit` runs the latter again, on its own."""

from typing import Any

from prefect import flow

from flows.observer import Observer
from flows.report import show_audit
from flows.tell import tell
from flows.train_gold import golds_of
from tasks.models import audit, audit_by_recomputation, audit_by_references, fit_twin, unlearn
from tasks.registry import register
from tmu.deletion.deletion import AuditVerdict, Deletion, Outcome
from tmu.deletion.journal import Journal
from tmu.errors import GateError, RequestError
from tmu.refs import AuditRef, ModelRef, TwinRef
from tmu.steps.cases import AuditCase, Lineage, RidgeAuditCase, TableAuditCase, UnlearnCase
from tmu.steps.ledger.batch import dataset_of
from tmu.steps.loading import run_record
from tmu.steps.price import price_of
from tmu.steps.register_model import log_audit, refuse_other_recipe
from tmu.steps.ridge_statistics import find_statistics
from tmu.steps.unlearn_model import CONTROL
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace

WAITS = (
    "Nothing goes into service before the next request, which goes on from this model (`audit.inconclusive: wait`). "
    "Until then the model stays in service that learned the records."
)


@flow(name="audit")
def audit_flow(request: str, golds: int = 2, home: str = ".") -> dict[str, Any]:
    """Audit a completed request again, with golds, whatever proved it first: the rows of its records are erased.

    A model with a ridge head is proved by recomputation again; golds have nothing to add to equality.

    What passes goes into service, if it is current. Raises RequestError where the request led to no model (yet), and
    where it is purged.
    """
    workspace = Workspace.open(home)
    deletion = Journal(workspace).find(request)
    if deletion.unlearned is None:
        raise RequestError(f"Request {request} has no unlearned model.", f"Finish it: `tmu delete --resume {request}`.")
    if deletion.purged is not None:
        raise RequestError(
            f"What an audit of request {request} needs is purged: the old revision and the models that learned it.",
            "Its own audit stands; `purge.act: false` in params.yaml leaves a later deletion open to more.",
        )
    outcome = (
        audited(workspace, deletion) if deletion.by_recomputation else audited_by_golds(workspace, deletion, golds)
    )
    service = Observer(workspace).put_into_service(deletion.data, outcome)
    shown = outcome.model_dump(mode="json") | {"service": service}
    return {"request": request, "ui": workspace.registry.ui_command(), **shown}


def audited(workspace: Workspace, deletion: Deletion, golds: int = 2) -> Outcome:
    """Audit by what the parameters say is the proof, register every row, and tie the numbers to them."""
    if deletion.by_recomputation:
        tell("Auditing by recomputation: the statistics of the records that stay are summed anew")
        given = {name: getattr(deletion, name) for name in ("forget", "unlearned", "params")}
        case = RidgeAuditCase(
            data=deletion.plan.data,
            original=deletion.base,
            statistics=find_statistics(workspace, deletion.unlearned),
            notes=_notes(workspace, deletion),
            **given,
        )
        return _concluded(workspace, deletion, audit_by_recomputation(workspace, case), ())
    if deletion.by_golds:
        return audited_by_golds(workspace, deletion, golds)
    tell("Auditing by the references")
    case = TableAuditCase(
        data=deletion.plan.data,
        forget=deletion.forget,
        original=deletion.base,
        unlearned=deletion.unlearned,
        references=deletion.references,
        params=deletion.params,
        notes=_notes(workspace, deletion),
    )
    proof = audit_by_references(workspace, case)
    return _concluded(workspace, deletion, proof, ())


def audited_by_golds(workspace: Workspace, deletion: Deletion, golds: int) -> Outcome:
    """Train golds and control, and audit beside them."""
    refuse_other_recipe(workspace, deletion.base, deletion.params)  # of an earlier version of tmu: see `earlier.py`
    case = _case(workspace, deletion, golds)
    tell("Auditing beside golds")
    return _concluded(workspace, deletion, audit(workspace, case), case.golds)


def _concluded(workspace: Workspace, deletion: Deletion, proof: AuditRef, golds: tuple[ModelRef, ...]) -> Outcome:
    """What follows from an audit: versions with its numbers, and which of them goes into service."""
    versions = _registered(workspace, deletion, golds)
    tell("Writing the numbers to MLflow")
    numbers = log_audit(workspace, proof, versions)
    workspace.registry.log_audit(versions[deletion.method], price_of(workspace, deletion, proof).shares)
    show_audit(numbers)
    verdict = AuditVerdict.model_validate(numbers["verdict"])
    row = "gold" if golds and verdict.outcome != "passed" and not deletion.retrained else deletion.method
    waits = _waits(deletion, verdict, golds)
    if waits:
        workspace.registry.mark_waiting(versions[row])
    return Outcome(
        audit=proof,
        verdict=verdict,
        versions={name: version.version for name, version in versions.items()},
        champion=versions[row].version,
        serves=deletion.unlearned if row == deletion.method else golds[0],
        waits=waits,
        service=_service(deletion, verdict, numbers.get("sentence", ""), by_golds=bool(golds)),
        sentence=numbers.get("sentence", ""),
        compare=workspace.registry.compare_url_hint(list(versions.values())),
        alignment=workspace.registry.alignment_url_hint(list(versions.values())) if golds else "",
    )


def links_to_what_is_left(workspace: Workspace, outcome: Outcome) -> dict[str, Any]:
    """MLflow's comparisons of the versions that a purge left; empty where there is nothing to compare."""
    audited = set(outcome.versions.values())
    there = workspace.registry.versions(dataset_of(workspace))
    left = [version for version in there if version.version in audited and not version.purged]
    if len(left) < 2:
        return {"purged_versions": True, "compare": "", "alignment": ""}
    alignment = workspace.registry.alignment_url_hint(left) if outcome.alignment else ""
    compare = workspace.registry.compare_url_hint(left)
    return {"purged_versions": True, "compare": compare, "alignment": alignment}


def _waits(deletion: Deletion, verdict: AuditVerdict, golds: tuple[ModelRef, ...]) -> bool:
    """Whether nothing goes into service before the next request, because nothing can be said of so few records."""
    unsure = verdict.outcome == "inconclusive" and not deletion.retrained and not golds
    return unsure and deletion.params.audit.inconclusive == "wait"


def _case(workspace: Workspace, deletion: Deletion, golds: int) -> AuditCase:
    """The unlearned model with newly made golds and control."""
    learned = {name: getattr(deletion, name) for name in ("forget", "params")}
    learned |= {"data": deletion.plan.data, "original": deletion.base, "twin": _twin(workspace, deletion)}
    # a retrained model is the paired gold itself: then all golds are independent ones
    retrained, control = golds_of(workspace, deletion, golds, first=int(deletion.retrained)), None
    if learned["twin"]:
        tell("Unlearning a random choice, as control")
        params = deletion.params.model_copy(update={"unlearn": CONTROL})
        control = unlearn(workspace, UnlearnCase(**learned | {"params": params}))
    models = {"golds": tuple(retrained), "control": control, "unlearned": deletion.unlearned}
    return AuditCase(**learned, **models, notes=_notes(workspace, deletion))


def _twin(workspace: Workspace, deletion: Deletion) -> TwinRef | None:
    """The fine-tuned twin, for the control; None for a retrained model, and where the twin's gate refuses."""
    if deletion.retrained:
        return None
    try:
        return fit_twin(workspace, deletion.plan.data, deletion.base, deletion.params)
    except GateError as refusal:
        tell(f"There is no control: {refusal.what}")
        return None


def _registered(workspace: Workspace, deletion: Deletion, golds: tuple[ModelRef, ...]) -> dict[str, Version]:
    """A version for each row that may be compared later; the one that is judged comes last."""
    before, after, params = deletion.plan.data, deletion.data, deletion.params
    lineage = Lineage(forget=deletion.forget, parent=deletion.base, request=deletion.id, run=deletion.run)
    # a version of its own where the base is an earlier deletion's model: that one keeps the numbers of its own audit
    original = deletion.base.model_copy(update={"role": "original"})
    versions = {"original": register(workspace, before, original, params, [])}
    for row, model in zip(("gold", "second gold"), golds, strict=False):
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


def _service(deletion: Deletion, verdict: AuditVerdict, sentence: str, *, by_golds: bool) -> str:
    """Which model goes into service and why. sentence: what the audit says of the people."""
    method = deletion.method
    if deletion.retrained:
        return "The retrained model goes into service: it was trained without the records."
    if verdict.outcome == "passed" and deletion.by_recomputation:
        return f"`{method}` goes into service: it is exact, and equal to a recomputation without the records."
    if verdict.outcome == "passed":
        return f"`{method}` goes into service: it passed its audit."
    if not by_golds:
        if _waits(deletion, verdict, ()):
            return f"{WAITS} {sentence}"
        return f"`{method}` goes into service, though its audit is inconclusive. {sentence}"
    if verdict.outcome == "failed":
        reasons = [reason.partition(": ") for reason in verdict.reasons]
        failed = "; ".join(text.rstrip(".") for outcome, _, text in reasons if outcome == "failed")
        return f"The retrained gold goes into service: `{method}` did not pass its audit ({failed})."
    return f"The retrained gold goes into service: the audit of `{method}` is inconclusive for so few records."
