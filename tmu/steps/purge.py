"""Purge what a deletion left behind: plan, act, check. Each may be repeated, and resumes after kill -9.

A store that refuses fails its own traces alone; at the end of the step it is named, and the next run goes on. What
leads to the person (keys) goes only when everything else is gone.
"""

from itertools import chain

from tmu.deletion.deletion import Deletion, Stage
from tmu.errors import RequestError, StorageError
from tmu.provenance import now
from tmu.purge.acting import Acting, Report
from tmu.purge.in_service import in_service
from tmu.purge.place import LAST, Place, by_order
from tmu.purge.record import Record, find_record, write_record
from tmu.purge.scope import Scope
from tmu.purge.trace import Trace
from tmu.steps.ledger.legal_hold import refuse_purge
from tmu.steps.purge_scope import scope_of
from tmu.steps.verify_erasure import drop_inventory
from tmu.stores.side_by_side import side_by_side
from tmu.workspace import Workspace


def foresee_purge(workspace: Workspace, deletion: Deletion) -> Record:
    """The record as `plan_purge` would write it; nothing is written. One without a scope has nothing left to end.

    Raises RequestError where nothing was erased yet: what is still needed is no trace.
    """
    if not deletion.has_reached(Stage.ERASED):
        raise RequestError(
            f"Nothing of request {deletion.id} is erased yet.", f"Carry it out: `tmu delete --resume {deletion.id}`."
        )
    return _looked(workspace, find_record(workspace, deletion.id) or Record.of(scope_of(workspace, deletion)))


def plan_purge(workspace: Workspace, deletion: Deletion) -> Record:
    """Look at all stores and write down what is to go and what stays. Again: what was found since is added."""
    return write_record(workspace, foresee_purge(workspace, deletion))


def plan_again(workspace: Workspace, scope: Scope) -> Record:
    """The record of a scope that was purged before and may be back; `act_purge` and `check_purge` go on from it."""
    return write_record(workspace, _looked(workspace, Record.of(scope)))


def foresee_again(workspace: Workspace, scope: Scope) -> Record:
    """The same; nothing is written."""
    return _looked(workspace, Record.of(scope))


def act_purge(workspace: Workspace, request: str, report: Report = lambda done, total: None) -> Record:
    """Carry out what is planned and not done, store by store.

    Raises StorageError naming the stores that refused, HeldError where a legal hold covers the request: then nothing
    is touched.
    """
    record = _planned(workspace, request)
    if record.scope:
        refuse_purge(workspace, record.scope)
    acting = Acting(workspace, record, report)
    for order, group in by_order(workspace).items():
        if order >= LAST and (acting.failed or acting.record.away):
            break
        for place in group:
            acting.act(place)
    return _refuse_silent(acting.ended())


def check_purge(workspace: Workspace, request: str) -> Record:
    """Look at all stores again. Verified is a purge that left nothing but what stays; `refuse_left` names the rest.

    A model in service that learned the records stays, but then the purge is not verified. Raises StorageError naming
    the stores that did not answer.
    """
    record = _looked(workspace, _planned(workspace, request))
    record = record.with_(steps=tuple(step.found_again() for step in record.steps))
    sound = not record.left and not record.away and not in_service(record.stays)
    return _refuse_silent(write_record(workspace, record.with_(verified=now() if sound else "")))


def refuse_left(record: Record) -> None:
    """Raise StorageError naming what a check found that had to be gone; RequestError for a model that is in service."""
    if record.left:
        first, count = record.left[0].trace, len(record.left)
        raise StorageError(
            f"{count} trace{'s' * (count != 1)} of request {record.request} had to be gone and still "
            f"{'are' if count != 1 else 'is'} there: {first.place}: {first.address}"
            f"{f', and {count - 1} more' if count > 1 else ''}.",
            f"Find out who put it back, then `tmu purge {record.request} --yes`.",
        )
    serving = in_service(record.stays)
    if serving:
        raise RequestError(
            f"The model in service learned what request {record.request} erased: {serving[0].address}.",
            f"Put another one into service, then `tmu purge {record.request} --yes`.",
        )


def scrub_purge(workspace: Workspace, request: str) -> Record:
    """Take the keys out of a verified purge's record, then destroy the search's inventory. Again changes nothing.

    Raises RequestError before it is verified.
    """
    record = write_record(workspace, _planned(workspace, request).scrubbed())
    drop_inventory(workspace, request)
    return record


def _looked(workspace: Workspace, record: Record) -> Record:
    """The record with what all stores hold now.

    They are looked at side by side; those of one module in turn, since they share what they read.
    """
    scope = record.scope
    if scope is None:
        return record
    all_places = [place for group in by_order(workspace).values() for place in group]
    modules: dict[str, list[Place]] = {}
    for place in all_places:
        modules.setdefault(type(place).__module__, []).append(place)
    several = side_by_side(lambda group: [_found_in(place, scope) for place in group], modules.values())
    found = {id(place): what for place, what in zip(chain(*modules.values()), chain(*several), strict=True)}
    in_order = [(place.name, found[id(place)]) for place in all_places]
    away = {name: what.what for name, what in in_order if isinstance(what, StorageError)}
    traces = [each for _, what in in_order if not isinstance(what, StorageError) for each in what]
    return record.found([place.name for place in all_places], traces, away)


def _found_in(place: Place, scope: Scope) -> list[Trace] | StorageError:
    """All traces in one store, or why it does not answer."""
    try:
        return list(place.find(scope))
    except StorageError as error:
        return error


def _planned(workspace: Workspace, request: str) -> Record:
    record = find_record(workspace, request)
    if record is None:
        raise RequestError(f"No purge of request {request} is planned.", f"Plan it: `tmu purge {request}`.")
    return record


def _refuse_silent(record: Record) -> Record:
    """Raise StorageError naming the stores that refused, each with its first error; else the record."""
    refused = {step.trace.place: step.reason for step in reversed(record.steps) if step.refused}
    errors = refused | record.away
    if errors:
        named = "; ".join(f"{place}: {why.rstrip('.')}" for place, why in sorted(errors.items()))
        raise StorageError(
            f"The purge of request {record.request} is not complete ({named}).",
            f"What was done is kept. When they answer: `tmu purge {record.request} --yes`.",
        )
    return record
