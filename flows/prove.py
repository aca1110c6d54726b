"""The proof of a deletion: the references made sure of before it, the audit after it, their rows erased at its end."""

from contextlib import suppress

from flows.audit_flow import audited
from flows.fit_references import references_of
from flows.tell import tell
from flows.train_original import original_of
from tasks.data import drop_references, erase_references
from tasks.models import fit_twin, unlearn
from tmu.deletion.deletion import AuditVerdict, Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import RETRAIN
from tmu.errors import GateError
from tmu.refs import ReferencesRef, TwinRef
from tmu.steps.cases import UnlearnCase
from tmu.steps.fit_reference_twin import find_reference_twin
from tmu.steps.read_references import find_references
from tmu.steps.register_model import champion_of
from tmu.steps.renewal import serving_references
from tmu.steps.ridge_statistics import refuse_trained_start
from tmu.steps.table_sets import cannot_audit
from tmu.unlearn import needs_references, needs_statistics
from tmu.workspace import Workspace


def prepared(workspace: Workspace, deletion: Deletion) -> Deletion:
    """What learned the records, and what will prove that they are unlearned; both while the records are there.

    Stays at the stage `acknowledged`: nothing is erased yet, and the request can be withdrawn.
    """
    if not deletion.learned:
        return deletion
    journal, before = Journal(workspace), deletion.plan.data
    if deletion.base is None:
        base = champion_of(workspace, before) or original_of(workspace, before, deletion.params)
        if needs_statistics(deletion.method):
            refuse_trained_start(workspace, base, deletion.params)
        deletion = journal.advance(deletion, Stage.ACKNOWLEDGED, base=base)
    if deletion.references is None and not deletion.plan.retires:
        deletion = journal.advance(deletion, Stage.ACKNOWLEDGED, references=_references(workspace, deletion))
    if deletion.twin is None and deletion.references and needs_references(deletion.method):
        with suppress(GateError):  # the stage `unlearned` meets it again, and retrains
            deletion = journal.advance(deletion, Stage.ACKNOWLEDGED, twin=_twin(workspace, deletion))
    return deletion


def _twin(workspace: Workspace, deletion: Deletion) -> TwinRef:
    """What the twin problems of the references teach; fitted for the first deletion, found for all others."""
    if find_reference_twin(workspace, deletion.references, deletion.params) is None:
        tell("Fitting the twin problems of the references, once for many requests")
    return fit_twin(workspace, deletion.plan.data, deletion.base, deletion.params, deletion.references)


def _references(workspace: Workspace, deletion: Deletion) -> ReferencesRef | None:
    """The table of the data as they are; fitted where none serves on and the method or its proof needs one."""
    before, params = deletion.plan.data, deletion.params
    if deletion.by_recomputation or (not deletion.by_golds and cannot_audit(workspace, before, deletion.forget)):
        return None
    found = serving_references(workspace, before, params)
    by_table = not deletion.exact and deletion.audited and not deletion.by_golds
    if found is not None or deletion.plan.choice.risk.refusal or not (needs_references(deletion.method) or by_table):
        return found
    return references_of(workspace, before, params)


def proved(workspace: Workspace, deletion: Deletion) -> Deletion:
    """The stage `audited`. A model that its audit refuses gives way to one that is retrained, and audited in its turn.

    With golds there is a retrained model already: see `audited`.
    """
    outcome = deletion.outcome or audited(workspace, deletion, golds=2)
    if not _gives_way(deletion, outcome.verdict):
        return Journal(workspace).advance(deletion, Stage.AUDITED, outcome=outcome)
    refused = f"{_said(deletion.method, outcome.verdict)} Exact retraining took over."
    tell(refused)
    exactly = deletion.params.with_method(RETRAIN)
    case = UnlearnCase(data=deletion.plan.data, forget=deletion.forget, original=deletion.base, params=exactly)
    facts = {"refused": refused, "params": exactly, "failed_audit": outcome.audit}
    retrained = unlearn(workspace, case)
    deletion = Journal(workspace).advance(deletion, Stage.UNLEARNED, **facts, unlearned=retrained)
    return proved(workspace, deletion)


def _said(method: str, verdict: AuditVerdict) -> str:
    """The verdict with the reasons for it, without those of rules that ended otherwise."""
    reasons = [reason.partition(": ") for reason in verdict.reasons]
    decided = "; ".join(text.rstrip(".") for outcome, _, text in reasons if outcome == verdict.outcome)
    ended = "failed" if verdict.outcome == "failed" else "is inconclusive"
    return f"The audit of `{method}` {ended} ({decided})."


def _gives_way(deletion: Deletion, verdict: AuditVerdict) -> bool:
    """Whether exact retraining takes over from a method. With golds a gold is in hand, and nothing is trained anew."""
    if deletion.retrained or (deletion.by_golds and not deletion.by_recomputation):
        return False
    unsure = verdict.outcome == "inconclusive" and deletion.params.audit.inconclusive == "retrain"
    return verdict.outcome == "failed" or unsure


def references_erased(workspace: Workspace, deletion: Deletion) -> Deletion:
    """The rows of the erased records go from the table, whoever used it; afterwards nothing can be audited by them."""
    before, after = deletion.plan.data, deletion.data
    if before.digest == after.digest:
        return deletion
    table = deletion.references_after
    if table is None and not deletion.plan.retires:  # a table of other outputs is of no use to the next request
        held = deletion.references or find_references(workspace, before, deletion.params)
        if held is not None:
            tell("Erasing the rows of the records from the references")
            table = erase_references(workspace, held, deletion.forget, after)
            deletion = Journal(workspace).advance(deletion, deletion.stage, references_after=table)
    drop_references(workspace, before, deletion.forget)
    return deletion
