"""The search: find what belongs to the person, look at everything, ask for the old versions, name every model."""

import shutil
import tempfile
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tmu import __version__
from tmu.files import abandoned, scratch_folder
from tmu.search.declared import hit_by_rule, model_by_rule, stated, unread_by_rule
from tmu.search.ground import Ground, account
from tmu.search.haystacks import all_haystacks
from tmu.search.inventory import Inventory
from tmu.search.report import Principal, SearchReport, merged
from tmu.search.run import Run, Task
from tmu.workspace import Workspace


def search(workspace: Workspace, task: Task) -> tuple[SearchReport, Inventory]:
    """Look everywhere; the report, and the inventory for a search after. Writes nothing into any store.

    Copies of objects and databases lie in a private temporary folder while they are looked at, and are gone at the end.
    """
    started = _now()
    with _scratch(workspace) as scratch:
        task = replace(task, rules=(*task.rules, *stated(workspace.settings)))
        ground = Ground(workspace, scratch, task.also, task.own)
        run = Run(ground, task)
        run.derive()
        run.look()
        old = run.old_versions()
        models = tuple(model_by_rule(each, task.rules) for each in run.models.told())
        report = SearchReport(
            tool=f"tmu {__version__}",
            started=started,
            finished=_now(),
            workspace=workspace.root.name,
            principal=_principal(ground),
            needles=run.sought.counted(),
            haystacks=tuple(run.haystacks.values()),
            hits=merged(hit_by_rule(each, task.rules) for each in run.hits),
            models=models,
            old_versions=old,
            not_looked_at=tuple(dict.fromkeys(unread_by_rule(each, task.rules) for each in run.unread)),
        )
        return report, run.inventory(started)


def survey(workspace: Workspace, task: Task) -> Inventory:
    """The inventory alone, with as much of a search as it needs: nothing else of what is found would be kept.

    Versions of objects and live shards are looked at for the person, all other files for models and manifests. Of what
    lies here with the same bytes no version is fetched. Tables and a database server's files tell an inventory nothing.
    """
    started = _now()
    with _scratch(workspace) as scratch:
        run = Run(Ground(workspace, scratch, task.also, task.own, here={}), task)
        run.derive()
        run.survey()
        return run.inventory(started)


def _scratch(workspace: Workspace) -> AbstractContextManager[Path]:
    """A private folder for copies. Those that killed searches of this workspace left behind go first."""
    folder, name = Path(tempfile.gettempdir()), f"{workspace.scratch_name}-search"
    for left in abandoned(folder, name):
        shutil.rmtree(left, ignore_errors=True)
    return scratch_folder(folder, name)


def _principal(ground: Ground) -> Principal:
    accesses = tuple(each for haystack in all_haystacks() for each in haystack.accesses(ground))
    settings = ground.workspace.settings
    used = [name for name in ("s3_read_key", "search_ledger") if getattr(settings, name) is not None]
    return Principal(account=account(), credentials=", ".join(used) or "those of the service", accesses=accesses)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
