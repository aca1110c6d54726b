"""Import a dataset into the workspace's record store and make it a data revision."""

import dataclasses
import re
import shutil
from collections.abc import Callable
from typing import Any, Literal

from tmu.data.digest import dvc_digest
from tmu.data.importer import Imported, import_records
from tmu.data.info import STORE_FILE
from tmu.data.keys import Keys
from tmu.data.readers import get_reader
from tmu.data.store import RecordStore
from tmu.deletion.journal import Journal
from tmu.errors import ConfigError, DataError, StorageError
from tmu.files import sweep
from tmu.refs import DataRef
from tmu.steps.ledger.guard_data import refuse_exchange, refuse_returned
from tmu.steps.note_contents import note_contents
from tmu.steps.suppress import TurnedAway, pictures_of
from tmu.stores.lock import locked
from tmu.suppression.tombstones import Tombstones
from tmu.workspace import Workspace

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")


def import_data(
    workspace: Workspace,
    reader_name: str,
    options: dict[str, Any],
    *,
    dataset: str | None = None,
    replace: bool = False,
    near_copies: Literal["refuse", "report"] = "refuse",
    progress: Callable[[int, int | None], None] | None = None,
    **layout: Any,
) -> tuple[DataRef, Imported]:
    """Read, key, shard and commit; `layout` is passed to `import_records` (holdout, test, n_buckets, split_seed).

    Pictures that were erased stay out, whatever their id; near_copies: whether those that look like one do, too.

    Raises DataError for unusable records and where a store is there already and `replace` is not set; RequestError and
    DataError where open or completed requests of the ledger do not allow it (see `guard_data`).
    """
    reader = get_reader(reader_name, options)
    if not _NAME.fullmatch(dataset or reader.name):
        raise ConfigError("That dataset name cannot name a model.", "Use letters, digits, `.`, `_` and `-`.")
    Journal(workspace).refuse_a_second()
    with locked(workspace.state("data.lock")):
        sweep(workspace.root)  # a killed import leaves images behind
        committed = _restored(workspace)
        if workspace.data.exists() and not replace:
            raise DataError(
                f"{workspace.data} already contains a record store.", "Use --replace, or another workspace."
            )
        refuse_returned(workspace)
        keys = workspace.keys(simulated=reader.simulated)
        refuse_exchange(workspace, dataset or reader.name, keys.id)
        turned_away = _turned_away(workspace, keys, refuse_near=near_copies == "refuse")
        imported = import_records(
            reader,
            workspace.data,
            keys,
            dataset=dataset,
            replace=replace,
            suppressed=Tombstones.of(workspace).test(),  # as they are now that nobody else can erase
            progress=progress,
            stays_out=turned_away,
            **layout,
        )
        said = (*imported.warnings, *turned_away.sentences(reader.where))
        _refuse_another(workspace, committed)
        workspace.versions.commit(workspace.data)
        note_contents(workspace)
        _push(workspace)
    return DataRef(uri="data", digest=dvc_digest(workspace.data)), dataclasses.replace(imported, warnings=said)


def _turned_away(workspace: Workspace, keys: Keys, *, refuse_near: bool) -> TurnedAway:
    """What is asked of each record. Those of the store that is replaced pass: they stayed beside the erased ones."""
    there = RecordStore.open(workspace.data).index() if (workspace.data / STORE_FILE).exists() else None
    return TurnedAway(pictures_of(workspace, keys), there, refuse_near=refuse_near)


def _refuse_another(workspace: Workspace, committed: str | None) -> None:
    """Take back an import that is not the revision that `data.dvc` names. committed: see `_restored`."""
    if committed is not None and dvc_digest(workspace.data) != committed:
        shutil.rmtree(workspace.data)
        raise DataError(
            "data.dvc names another revision, and its tombstones cannot be read here.",
            "Fetch it with `dvc pull`, then import with --replace; or start a new workspace.",
        )


def _push(workspace: Workspace) -> None:
    try:
        workspace.versions.push()
    except StorageError as error:
        raise StorageError(
            f"The data are imported, but no copy went to the remote: {error.what}",
            "Fix that and repeat with --replace; or continue: the next erasure also sends its revision.",
        ) from error


def _restored(workspace: Workspace) -> str | None:
    """Bring back a missing `data/` that `data.dvc` names, so that its tombstones count: the erased stay erased.

    Returns the revision where it is named but nowhere to be found; then only that very revision may be imported.
    """
    if workspace.data.exists() or not (workspace.root / "data.dvc").exists():
        return None
    digest = workspace.versions.revision(workspace.data)
    try:
        shutil.copytree(workspace.versions.materialise(digest), workspace.data)
    except StorageError:
        return digest
    return None
