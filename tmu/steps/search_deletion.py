"""The independent search for what a deletion was about: from the purge's record, as long as it holds the keys."""

from collections.abc import Sequence
from datetime import datetime

from tmu.deletion.deletion import Deletion
from tmu.errors import StorageError
from tmu.lineage.learners import learners
from tmu.lineage.served import registered
from tmu.purge.record import Record, find_record
from tmu.purge.trace import Holds, Trace
from tmu.search.declared import Declared
from tmu.search.report import NotLookedAt, Outcome, SearchReport
from tmu.steps.verify_erasure import Erased, drop_inventory, report_of, take_inventory, verify_erasure
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.words import counted
from tmu.workspace import Workspace

_RECORD = "the purge's record and the journal: their keys are destroyed as soon as the search has passed"


class UnansweredError(StorageError):
    """Places did not answer while the search looked, and may later."""


def refuse_unanswered(places: Sequence[NotLookedAt]) -> None:
    """Raise UnansweredError naming the stores of these places, if there are any."""
    if places:
        stores = ", ".join(dict.fromkeys(f"{each.haystack} ({each.why})" for each in places))
        raise UnansweredError(
            f"The independent search could not look at {counted(len(places), 'place')}: {stores}.",
            "It is tried again; once the stores answer, `tmu certificate issue` does so, too.",
        )


def inventory_of(workspace: Workspace, deletion: Deletion) -> tuple[NotLookedAt, ...]:
    """Before the purge: find everything independently, so that the search after it knows old versions and models.

    Returns the places that did not answer: another call looks there again. None where no purge is planned or its keys
    are destroyed already.
    """
    record = find_record(workspace, deletion.id)
    if record is None or not record.has_keys or record.verified:
        return ()
    return take_inventory(workspace, _erased(workspace, record, deletion)).unanswered


def search_deletion(workspace: Workspace, deletion: Deletion) -> SearchReport | None:
    """Search for a deletion's keys; once they are destroyed, the report of the search before. None: there was none."""
    record, earlier = find_record(workspace, deletion.id), report_of(workspace, deletion.id)
    searchable = record is not None and record.has_keys and record.verified
    if not searchable and earlier is not None and earlier.outcome is Outcome.PASS:
        drop_inventory(workspace, deletion.id)  # a crash may have left it
    if not searchable or _still_holds(earlier, record):
        return earlier
    return verify_erasure(workspace, _erased(workspace, record, deletion))


def _still_holds(report: SearchReport | None, record: Record) -> bool:
    """Whether a search passed just before a crash. What came back and was purged since makes it worth nothing."""
    passed = report is not None and report.outcome is Outcome.PASS
    return passed and datetime.fromisoformat(report.started) >= datetime.fromisoformat(record.acted)


def _erased(workspace: Workspace, record: Record, deletion: Deletion) -> Erased:
    """The keys, and what stays by a rule: what the record declares, and the files that the run itself still needs."""
    stays = [_declared(trace, trace.address) for trace in record.stays]
    kept = {_model_of(workspace, trace): trace for trace in record.stays if trace.holds is Holds.WEIGHTS}
    if kept:  # the search calls a model by its weights
        models = [*learners(workspace), *registered(workspace)]
        stays += [_declared(kept[each.address], each.weights) for each in models if each.address in kept]
    running = [Declared(what=f".tmu/{folder}/{deletion.id}.json", why=_RECORD) for folder in ("purges", "requests")]
    return Erased(
        request=deletion.id,
        records=record.scope.records,
        subjects=record.scope.subjects,
        rules=(*stays, *running),
    )


def _model_of(workspace: Workspace, trace: Trace) -> str:
    """The model of which a trace is a copy, as `Learner.address`."""
    store, address = workspace.artifacts, trace.address.removeprefix("cache:")
    return store.address(address) if isinstance(store, S3Artifacts) and trace.version else address


def _declared(trace: Trace, what: str) -> Declared:
    return Declared(what=what, version=trace.version, why=trace.why or "it stays", until=trace.until)
