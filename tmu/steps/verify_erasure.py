"""The independent search around a purge: its inventory before, its report after (`docs/erasure-search.md`).

A flow calls both: `take_inventory` while everything is still there, `verify_erasure` when the purge is done. The
inventory leads to the person; it lies in the workspace until a search passes, and goes with the purge's keys.
"""

from pathlib import Path

from tmu.config import Config
from tmu.files import read_json, write_json
from tmu.search import inventory as inventories
from tmu.search.declared import Declared
from tmu.search.inventory import Inventory
from tmu.search.needles import Needles, of_keys
from tmu.search.report import Outcome, SearchReport
from tmu.search.run import Task
from tmu.search.search import search, survey
from tmu.search.sought import secrets_of
from tmu.workspace import Workspace

_RUNNING = "the inventory of the search that is running: it is destroyed when the search has passed"


class Erased(Config):
    """Whom a deletion was about, in keys (hex), and what stays by a rule. request: the deletion's id."""

    request: str
    records: tuple[str, ...]
    subjects: tuple[str, ...] = ()
    rules: tuple[Declared, ...] = ()


def take_inventory(workspace: Workspace, erased: Erased) -> Inventory:
    """Search before the purge. What an earlier call took is kept, and added to where places did not answer it."""
    path = _inventory(workspace, erased.request)
    earlier = inventories.load(path) if path.exists() else None
    if earlier is not None and not earlier.unanswered:
        return earlier
    task = Task(needles=_needles(workspace, erased), before=earlier, rules=erased.rules)
    inventory = survey(workspace, task).with_earlier(earlier)
    inventories.save(inventory, path)
    return inventory


def verify_erasure(workspace: Workspace, erased: Erased) -> SearchReport:
    """Search after the purge. The report is kept (`report_of`).

    One that knows less than another that passed meanwhile gives way to it: that one's caller may have destroyed the
    keys, and nobody could search again.
    """
    path = _inventory(workspace, erased.request)
    before = inventories.load(path) if path.exists() else None
    mine = Declared(what=path.relative_to(workspace.root).as_posix(), why=_RUNNING)
    task = Task(needles=_needles(workspace, erased), before=before, rules=(*erased.rules, mine))
    report, _ = search(workspace, task)
    other = report_of(workspace, erased.request)
    if (
        report.outcome is Outcome.UNKNOWN
        and other
        and other.outcome is Outcome.PASS
        and other.finished > report.started
    ):
        return other
    write_json(_report(workspace, erased.request), report.as_json())
    return report


def drop_inventory(workspace: Workspace, request: str) -> None:
    """Destroy a request's inventory: it leads to the person. Again changes nothing."""
    _inventory(workspace, request).unlink(missing_ok=True)


def open_searches(workspace: Workspace) -> list[str]:
    """The deletions, by id, whose inventory is there: no search has passed, or a crash kept the keys after it."""
    return sorted(path.name.split(".")[0] for path in workspace.state("searches").glob("[!.]*.inventory.json"))


def report_of(workspace: Workspace, request: str) -> SearchReport | None:
    """The last search after a request's purge; None where there was none."""
    path = _report(workspace, request)
    if not path.exists():
        return None
    raw = read_json(path)
    return SearchReport.model_validate({name: raw[name] for name in SearchReport.model_fields})


def _needles(workspace: Workspace, erased: Erased) -> Needles:
    return of_keys(erased.records, erased.subjects, max(1, len(secrets_of(workspace))))


def _inventory(workspace: Workspace, request: str) -> Path:
    return workspace.state("searches", f"{request}.inventory.json")


def _report(workspace: Workspace, request: str) -> Path:
    return workspace.state("searches", f"{request}.json")
