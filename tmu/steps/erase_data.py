"""Erase records from the data: a new revision in which only the touched shards differ."""

from pathlib import Path

from tmu.data.digest import dvc_digest
from tmu.data.erase import apply_in_place, ended_people, erase, prepare
from tmu.files import discard
from tmu.refs import DataRef, ForgetRef
from tmu.steps.ledger.legal_hold import refuse_held
from tmu.steps.loading import data_folder, data_ref, forget_keys, open_store, retired_with
from tmu.steps.note_contents import note_contents
from tmu.steps.suppress import suppress_pictures
from tmu.stores.lock import locked
from tmu.suppression.tombstones import Erased, Tombstones
from tmu.workspace import Workspace


def erase_data(
    workspace: Workspace, data: DataRef, forget: ForgetRef, *, out: str | None = None, request: str = ""
) -> DataRef:
    """The revision of `data` without the forget set.

    Without `out`, `data/` itself moves on: the new revision is built whole, then its shards replace the touched ones
    one by one, then DVC records it. A kill -9 anywhere leaves a state from which the same call completes. What was
    erased is then remembered under its `request` (`tmu/suppression/tombstones.py`). Raises HeldError where a legal hold
    covers what has not been touched yet.
    """
    keys, retire = forget_keys(workspace, forget), retired_with(workspace, forget)
    if out is not None:
        erase(data_folder(workspace, data), workspace.root / out, keys, retire=retire)
        return DataRef(uri=f"file:{out}", digest=dvc_digest(workspace.root / out))
    with locked(workspace.state("data.lock")):
        revision = prepared(workspace, forget)
        untouched = data_ref(workspace).digest == data.digest  # else it was begun before, and can only be finished
        if untouched:
            refuse_held(workspace, open_store(workspace, data), keys)
        if not revision.exists():
            source = data_folder(workspace, data)
            _keep(workspace, source, data)
            prepare(source, revision, keys, retire=retire, cache=workspace.state("index"), memo=workspace.md5s)
        if untouched:
            suppress_pictures(workspace, open_store(workspace, data), keys)
        apply_in_place(revision, workspace.data, workspace.md5s)
        digest = workspace.versions.commit(workspace.data)
        workspace.versions.push()
        _remember(workspace, data, DataRef(uri="data", digest=digest), keys, request or forget.digest[:16])
        discard(revision)  # DVC's cache has it now
        note_contents(workspace)
    return DataRef(uri="data", digest=digest)


def _remember(workspace: Workspace, before: DataRef, after: DataRef, keys: frozenset[str], request: str) -> None:
    """Write the tombstones of what was erased, where a restored backup does not reach."""
    store = open_store(workspace, before)
    erased = Erased(
        request=request,
        key_id=store.info.key_id,
        before=before.digest,
        after=after.digest,
        records=tuple(sorted(keys)),
        subjects=ended_people(store.index(), keys),
    )
    Tombstones.of(workspace).add(erased)


def prepared(workspace: Workspace, forget: ForgetRef) -> Path:
    """Where the revision without a forget set is built, before its shards replace the live ones."""
    return workspace.state("revisions", f"without-{forget.digest[:32]}")


def _keep(workspace: Workspace, source: Path, data: DataRef) -> None:
    """Make sure that DVC's cache holds the old revision: unlearning and audit read it until a purge."""
    if workspace.versions.revision(workspace.data) != data.digest and source == workspace.data:
        workspace.versions.commit(workspace.data)
