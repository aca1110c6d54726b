"""The inventory, the derived models and what was not reached, from what a purge says that it did."""

from collections.abc import Sequence
from datetime import date, timedelta

from tmu.certificate.parts import DerivedModel, Entry, NotReached
from tmu.purge.summary import Line, PurgeSummary
from tmu.purge.trace import Action
from tmu.settings import Backup

OPERATOR = "tmu, in the deletion's run"
_CHECKED = {
    "gone": "the store was asked again after the purge, and did not have it",
    "stays": "the store was asked again after the purge, and has it",
    "failed": "the store refused, or had it again",
    "open": "not yet",
}
_LOCKED = "it expires by itself; who restores it before must run `tmu restore`"


def inventory_of(purge: PurgeSummary) -> tuple[Entry, ...]:
    """A line for like copies in one store, and one for each store that was searched and held nothing."""
    found = tuple(_entry(purge, line) for line in purge.lines)
    empty = sorted({*purge.places} - {line.place for line in purge.lines})
    return found + tuple(
        Entry(
            store=place, holds="nothing", action="none", copies=0, tool=purge.tool, at=purge.verified or purge.planned,
            operator=OPERATOR, result="nothing found", checked="searched before and after the purge",
        )
        for place in empty
    )  # fmt: skip


def models_of(purge: PurgeSummary) -> tuple[DerivedModel, ...]:
    """The fate of every copy of a model that learned the records."""
    made = []
    for each in purge.models:
        trace = each.trace
        name = f"{trace.place}: {trace.address}{f' ({trace.version})' if trace.version else ''}"
        fate = "kept" if trace.stays or each.result != "gone" else "destroyed"
        why = trace.why or ("" if fate == "destroyed" else "the purge did not reach it")
        made.append(DerivedModel(name=name, fate=fate, why=why, until=trace.until))
    return tuple(made)


def not_reached(purge: PurgeSummary, backups: Sequence[Backup], done: str) -> tuple[NotReached, ...]:
    """Copies that expire by themselves: locked objects, and the backups of the settings. done: date of the deletion."""
    day = date.fromisoformat(done[:10])
    locked = [line for line in purge.lines if line.action is Action.EXPIRE]
    found = [
        NotReached(
            what=f"{line.place}: {line.count} copies of {line.holds}, {line.why or 'locked'}",
            expires=line.until or "not known",
            restore=_LOCKED,
        )
        for line in locked
    ]
    expire = [(backup, (day + timedelta(days=backup.days)).isoformat()) for backup in backups]
    return (*found, *(NotReached(what=each.name, expires=until, restore=each.restore) for each, until in expire))


def _entry(purge: PurgeSummary, line: Line) -> Entry:
    at = purge.acted if line.result == "gone" and purge.acted else purge.verified or purge.planned
    return Entry(
        store=line.place, holds=line.holds, action=line.action, copies=line.count, tool=purge.tool, at=at,
        operator=OPERATOR, result=line.result, checked=_CHECKED[line.result], why=line.why, until=line.until,
    )  # fmt: skip
