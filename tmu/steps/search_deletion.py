"""The independent search for what a deletion was about: from the purge's record, as long as it holds the keys."""

from tmu.deletion.deletion import Deletion
from tmu.purge.record import Record, find_record
from tmu.search.declared import Declared
from tmu.search.report import Outcome, SearchReport
from tmu.steps.verify_erasure import Erased, report_of, take_inventory, verify_erasure
from tmu.workspace import Workspace

_RECORD = "the purge's record and the journal: their keys are destroyed as soon as the search has passed"


def inventory_of(workspace: Workspace, deletion: Deletion) -> int:
    """Before the purge: find everything independently, so that the search after it knows old versions and models.

    Returns how many places hold something; 0 where no purge is planned or its keys are destroyed already.
    """
    record = find_record(workspace, deletion.id)
    if record is None or not record.has_keys or record.verified:
        return 0
    return take_inventory(workspace, _erased(record, deletion))


def search_deletion(workspace: Workspace, deletion: Deletion) -> SearchReport | None:
    """Search for a deletion's keys; once they are destroyed, the report of the search before. None: there was none."""
    record, earlier = find_record(workspace, deletion.id), report_of(workspace, deletion.id)
    if record is None or not record.has_keys or not record.verified:
        return earlier
    if earlier is not None and earlier.outcome is Outcome.PASS:  # it passed just before a crash; its inventory is gone
        return earlier
    return verify_erasure(workspace, _erased(record, deletion))


def _erased(record: Record, deletion: Deletion) -> Erased:
    """The keys, and what stays by a rule: what the record declares, and the files that the run itself still needs."""
    stays = [
        Declared(what=trace.address, version=trace.version, why=trace.why or "it stays", until=trace.until)
        for trace in record.stays
    ]
    running = [Declared(what=f".tmu/{folder}/{deletion.id}.json", why=_RECORD) for folder in ("purges", "requests")]
    return Erased(
        request=deletion.id,
        records=record.scope.records,
        subjects=record.scope.subjects,
        rules=(*stays, *running),
    )
