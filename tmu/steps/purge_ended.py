"""Purge deletions that have ended: those of an older version, those put off, and models whose retention ran out."""

from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.errors import DataError, RequestError
from tmu.provenance import now
from tmu.purge.acting import Report
from tmu.purge.record import Record, find_record, records
from tmu.search.report import Outcome
from tmu.steps.purge import act_purge, check_purge, foresee_purge, plan_purge, refuse_left, scrub_purge
from tmu.steps.search_deletion import inventory_of, search_deletion
from tmu.workspace import Workspace


def unpurged(workspace: Workspace) -> list[Deletion]:
    """Completed deletions that left something behind which nothing has purged yet, oldest first."""
    done = (each for each in Journal(workspace).all() if each.stage is Stage.COMPLETED)
    return [each for each in done if each.purged is None or not each.purged.passed or _unscrubbed(workspace, each.id)]


def due(workspace: Workspace) -> list[str]:
    """The deletions of which something stayed until a date that has come, by id."""
    return [record.request for record in records(workspace) if record.due(now())]


def foresee_ended(workspace: Workspace, request: str) -> Record:
    """What `purge_ended` would do; nothing is written. Raises RequestError for a deletion that has not ended."""
    return foresee_purge(workspace, _ended(workspace, request))


def purge_ended(workspace: Workspace, request: str, report: Report = lambda done, total: None) -> Record:
    """Plan, act, check, search, and destroy the keys in the record. Safe to repeat; raises as these steps do.

    Where the independent search does not pass, the keys stay, so that it can be repeated.
    """
    journal = Journal(workspace)
    with journal.running():
        deletion = _ended(workspace, request)
        record = plan_purge(workspace, deletion)
        if record.scope is None:
            return record
        inventory_of(workspace, deletion)
        act_purge(workspace, request, report)
        record = check_purge(workspace, request)
        refuse_left(record)
        journal.advance(deletion, deletion.stage, purged=record.summary())
        found = search_deletion(workspace, deletion)
        return scrub_purge(workspace, request) if found and found.outcome is Outcome.PASS else record


def check_purges(workspace: Workspace) -> str:
    """Whether nothing stays longer than its rule says. Raises DataError naming the deletions, places and dates."""
    overdue = [(record.request, trace) for record in records(workspace) for trace in record.due(now())]
    if overdue:
        named = "; ".join(
            f"{request}: {trace.place}: {trace.address}, until {trace.until}" for request, trace in overdue
        )
        raise DataError(f"What was to stay for a while is still there ({named}).", "Run `tmu purge --due --yes`.")
    stays, waiting = sum(len(record.stays) for record in records(workspace)), unpurged(workspace)
    left = f"; {len(waiting)} deletions were not purged (`tmu purge` lists them)" if waiting else ""
    return f"Nothing stays longer than its rule says; {stays} traces stay for now{left}."


def _ended(workspace: Workspace, request: str) -> Deletion:
    deletion = Journal(workspace).find(request)
    if deletion.stage is not Stage.COMPLETED:
        raise RequestError(
            f"Request {request} is not completed (stage `{deletion.stage}`): it needs what a purge would destroy.",
            f"Finish it, and it is purged at its end: `tmu delete --resume {request}`.",
        )
    return deletion


def _unscrubbed(workspace: Workspace, request: str) -> bool:
    """Whether the run was killed before the record's keys were destroyed."""
    record = find_record(workspace, request)
    return record is not None and record.has_keys
