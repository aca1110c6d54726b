"""The deletion itself, whoever asked: erase, unlearn, audit, put into service, purge, verify.

The order is: write down, find or fit the references, erase the data, then the model. Every stage is idempotent and
journalled, so that a crash anywhere is fixed by running the same again; it takes effect once. All that a stage needs is
in the `Deletion`; nothing is read from params.yaml. The observer is told how far it has come.
"""

from contextlib import suppress
from typing import Any

from flows.audit_flow import links_to_what_is_left
from flows.certify import certified
from flows.observer import Observer
from flows.prove import prepared, proved, references_erased
from flows.purge import purged
from flows.tell import tell
from tasks.data import check_stores, erase, look_at_data, tidy
from tasks.evidence import keep_evidence
from tasks.models import fit_twin, unlearn
from tasks.registry import promote, register
from tasks.verify import verify_deletion
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import RETRAIN
from tmu.errors import GateError, StorageError
from tmu.ledger.states import State
from tmu.purge.places.mlflow import Mlflow
from tmu.steps.cases import Lineage, UnlearnCase
from tmu.steps.check_shift import learns_from_holdout
from tmu.steps.price import Price, price_of
from tmu.steps.register_model import champion_of
from tmu.steps.ridge_statistics import find_statistics, why_anew
from tmu.stores.mlflow import Version
from tmu.unlearn import needs_references, needs_statistics, needs_twin
from tmu.workspace import Workspace

UNAUDITED = "Without an audit nothing goes into service."
RETIRED = (
    "The retrained model goes into service: it was trained without the records, and has no output for what went as a "
    "whole. There is no audit of answers that it cannot give."
)
NO_REFERENCES = (
    "The retrained model goes into service: it was trained without the records. There are no references to audit it "
    "by, or too few records that no model learned."
)


def carry_out(workspace: Workspace, deletion: Deletion, observer: Observer) -> dict[str, Any]:
    """Take an acknowledged deletion to its end, from wherever it stopped; returns what is to be told of it, as JSON."""
    look_at_data(workspace, deletion)
    if deletion.has_reached(Stage.PURGING):  # what earlier stages need may be gone
        observer.reach(State.PROMOTING)
        return _ended(workspace, deletion, observer, deletion.service)
    if not deletion.has_reached(Stage.ERASING):
        check_stores(workspace)
        deletion = prepared(workspace, deletion)
    deletion = _erased(workspace, deletion, observer)
    if not deletion.learned:
        return _ended(workspace, deletion, observer, _carried_over(workspace, deletion, observer))
    observer.reach(State.UNLEARNING)
    deletion = _unlearned(workspace, deletion)
    if deletion.refused:
        observer.reach(State.ESCALATED_RETRAIN)
    if not deletion.audited:
        _register_candidate(workspace, deletion)
        return _ended(workspace, deletion, observer, UNAUDITED)
    if not deletion.provable:
        return _ended(workspace, deletion, observer, _unproved(workspace, deletion, observer))
    observer.reach(State.AUDITING)
    deletion = proved(workspace, deletion)
    return _ended(workspace, deletion, observer, _put_into_service(deletion, observer))


def _erased(workspace: Workspace, deletion: Deletion, observer: Observer) -> Deletion:
    """The stage `erased`, with the intent written before."""
    journal = Journal(workspace)
    if not deletion.has_reached(Stage.ERASING):
        observer.erasing()
    deletion = journal.advance(deletion, Stage.ERASING)  # from here on bytes of the data may be gone
    tell("Erasing the records from the data")
    after = erase(workspace, deletion)
    deletion = journal.advance(deletion, Stage.ERASED, data=after)
    observer.data_erased(after)
    return deletion


def _unlearned(workspace: Workspace, deletion: Deletion) -> Deletion:
    """The stage `unlearned`. Where a gate refuses (twin, shift), exact retraining takes over, and it is said and kept.

    The parameters are then those of the method that was used in the end.
    """
    journal = Journal(workspace)
    try:
        _refuse_foreseen(deletion)
        case = _case(workspace, deletion)
        tell(f"Unlearning with {deletion.method}")
        unlearned = unlearn(workspace, case)
        if deletion.by_recomputation and (why := why_anew(workspace, unlearned)):
            tell(why)
        return journal.advance(deletion, Stage.UNLEARNED, twin=case.twin, unlearned=unlearned)
    except GateError as refusal:
        refused = f"{refusal.what} Exact retraining took over from `{deletion.method}`."
        tell(refused)
    exactly = deletion.params.with_method(RETRAIN)
    unlearned = unlearn(workspace, _case(workspace, deletion.model_copy(update={"params": exactly})))
    return journal.advance(deletion, Stage.UNLEARNED, refused=refused, params=exactly, unlearned=unlearned)


def _case(workspace: Workspace, deletion: Deletion) -> UnlearnCase:
    """What is to be unlearned, with references and twin or statistics where the method needs them."""
    data, base, params, table, twin = deletion.plan.data, deletion.base, deletion.params, None, None
    statistics = find_statistics(workspace, base) if needs_statistics(deletion.method) else None
    if needs_references(deletion.method):
        table = deletion.references
        twin = deletion.twin or fit_twin(workspace, data, base, params, table)
    elif needs_twin(deletion.method):
        tell("Fitting the twin problem (once for all requests on this revision and model)")
        twin = fit_twin(workspace, data, base, params)
    return UnlearnCase(
        data=data,
        forget=deletion.forget,
        original=base,
        twin=twin,
        references=table,
        statistics=statistics,
        params=params,
    )


def _refuse_foreseen(deletion: Deletion) -> None:
    """Raise GateError where the plan shows that a check will refuse: nothing is fitted for that."""
    foreseen = deletion.plan.choice.risk.refusal
    if foreseen and not deletion.exact:
        ground = "hold-out" if learns_from_holdout(deletion.method) else "references"
        raise GateError(f"The {ground} cannot be used here: {foreseen}.", "Use `--method retrain`.")


def _register_candidate(workspace: Workspace, deletion: Deletion) -> Version:
    lineage = Lineage(forget=deletion.forget, parent=deletion.base, request=deletion.id, run=deletion.run)
    return register(workspace, deletion.data, deletion.unlearned, deletion.params, ["candidate"], lineage)


def _unproved(workspace: Workspace, deletion: Deletion, observer: Observer) -> str:
    """Put a retrained model into service of which no audit can say anything."""
    observer.reach(State.ESCALATED_RETRAIN)
    version = _register_candidate(workspace, deletion)
    observer.reach(State.PROMOTING)
    sentence = RETIRED if deletion.plan.retires else NO_REFERENCES
    return observer.put_version_into_service(deletion.data, deletion.unlearned, version.version, sentence)


def _put_into_service(deletion: Deletion, observer: Observer) -> str:
    """Put into service what the audit decided; a gate that failed means the retrained gold."""
    outcome = deletion.outcome
    if outcome.versions.get(deletion.method) != outcome.champion or deletion.failed_audit:
        observer.reach(State.ESCALATED_RETRAIN)
    observer.reach(State.PROMOTING)  # the last moment for the ledger to say no, such as for a new legal hold
    return observer.put_into_service(deletion.data, outcome)


def _carried_over(workspace: Workspace, deletion: Deletion, observer: Observer) -> str:
    """No model learned the erased records: the one in service stays, now as the model of the new revision."""
    champion = champion_of(workspace, deletion.plan.data, deletion.data)
    observer.reach(State.PROMOTING)
    if champion is not None:
        version = register(workspace, deletion.data, champion, deletion.params, [])
        promote(workspace, deletion.data, version.version, observer.work)
    return "The model in service stays."


def _ended(workspace: Workspace, deletion: Deletion, observer: Observer, service: str) -> dict[str, Any]:
    """Purge, verify, certify, and close the journal's entry.

    Without an audit nothing is purged: the next one needs the old revision and the model that learned it.
    """
    deletion = Journal(workspace).advance(deletion, Stage.PURGING, service=service)
    price = _price(workspace, deletion)
    observer.reach(State.PURGING)
    if deletion.purged is None:
        deletion = references_erased(workspace, deletion)
        keep_evidence(workspace, deletion, observer.requests)
        tidy(workspace)
    if deletion.params.purge.act and service != UNAUDITED:
        deletion = purged(workspace, deletion)
    observer.reach(State.VERIFYING)
    checked = verify_deletion(workspace, deletion) if service != UNAUDITED else []
    certificates = certified(workspace, deletion, observer.requests, checked)
    deletion = Journal(workspace).advance(deletion, Stage.COMPLETED)
    return _told(workspace, deletion, price) | {"checked": checked, "certificates": certificates}


def _price(workspace: Workspace, deletion: Deletion) -> Price | None:
    """What it took, before the purge takes what tells of it; None where a purge that was interrupted did so."""
    if deletion.unlearned is None:
        return None
    with suppress(StorageError):
        return price_of(workspace, deletion, deletion.outcome and deletion.outcome.audit)
    return None


def _told(workspace: Workspace, deletion: Deletion, price: Price | None) -> dict[str, Any]:
    """A completed deletion for whoever asked, as JSON."""
    shown = deletion.model_dump(mode="json", include={"data": True, "service": True, "purged": True})
    outcome: dict[str, Any] = {"verdict": None}
    if deletion.outcome:
        outcome = deletion.outcome.model_dump(mode="json") | {"verdict": deletion.outcome.verdict.public()}
    choice = deletion.plan.choice.model_dump(mode="json")
    ui = workspace.registry.ui_command()
    end = deletion.purged.sentence if deletion.purged else f"Nothing was purged: `tmu purge {deletion.id}`."
    why = [*deletion.why, *([price.sentence] if price else []), end]
    shown |= {"price": price and price.model_dump(mode="json")}
    if _gone_from_mlflow(deletion) and deletion.outcome:
        outcome |= links_to_what_is_left(workspace, deletion.outcome)
    return outcome | shown | {"request": deletion.id, "ui": ui, "choice": choice, "why": why}


def _gone_from_mlflow(deletion: Deletion) -> bool:
    """Whether the purge took models from MLflow: its pages compare what is there."""
    lines = deletion.purged.lines if deletion.purged else ()
    return any(line.place == Mlflow.name and line.result == "gone" for line in lines)
