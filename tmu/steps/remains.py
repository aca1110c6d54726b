"""What of a manifest's inputs and outputs is still there: what is gone with the reason, and what still holds."""

from pathlib import Path

from tmu.config import Config
from tmu.errors import DataError, StorageError, TmuError
from tmu.evidence.manifest import Manifest
from tmu.evidence.spot import spots
from tmu.provenance import code_digest, lock_digest
from tmu.purge.record import find_record
from tmu.refs import DataRef, Ref
from tmu.steps.keep_evidence import AUDIT
from tmu.steps.loading import open_store
from tmu.steps.unlearn_model import code_of
from tmu.stores.purged import PurgedError
from tmu.workspace import Workspace


class Gone(Config):
    """An input that is not there any more. name: as the manifest calls it. pinned: its digest. why: a sentence.
    purged: by a purge.
    """

    name: str
    pinned: str
    why: str
    purged: bool


def gone(workspace: Workspace, manifest: Manifest) -> list[Gone]:
    """The inputs without which the model cannot be computed again."""
    found = [(name, ref, _missing(workspace, manifest, ref)) for name, ref in manifest.inputs.items()]
    return [Gone(name=name, pinned=ref.digest, why=why[0], purged=why[1]) for name, ref, why in found if why]


def _missing(workspace: Workspace, manifest: Manifest, ref: Ref) -> tuple[str, bool] | None:
    """Why an input is not there, and whether a purge took it; None where it is there and sound."""
    try:
        if isinstance(ref, DataRef):
            _read_revision(workspace, ref)
        else:
            workspace.artifacts.fetch(ref.uri, ref.digest)
    except PurgedError as error:
        return error.what, True
    except TmuError as error:
        at = _purged_at(workspace, manifest.request)
        if at:
            return f"It was purged on {at[:10]} for request {manifest.request}.", True
        return error.what, False
    return None


def _read_revision(workspace: Workspace, data: DataRef) -> None:
    """Open the revision and look for every file of it: its list alone would not do."""
    store = open_store(workspace, data)
    store.index()


def _purged_at(workspace: Workspace, request: str) -> str:
    """When the purge of a deletion acted; empty where it did not yet."""
    record = find_record(workspace, request)
    return (record.acted or record.verified) if record else ""


def remains(workspace: Workspace, manifest: Manifest, folder: Path) -> list[str]:
    """What still holds of a deletion that cannot be replayed any more, in sentences.

    Looked at: the outputs that are there, by digest; the code and the packages; the audit's verdict from its own
    numbers. Raises DataError naming what does not agree with the manifest.
    """
    found = [line for name, ref in manifest.outputs.items() if (line := _output(workspace, name, ref))]
    if manifest.made.audit is not None and (folder / AUDIT).exists():
        found += [spot.sentence for spot in spots(folder, manifest)]
    code = code_digest(*code_of(manifest.case.params))
    same = "is" if code == manifest.code else "is not"
    found.append(f"The code here {same} the code that computed the model.")
    same = "are" if lock_digest() == manifest.lock else "are not"
    found.append(f"The pinned packages here {same} those of then.")
    return found


def _output(workspace: Workspace, name: str, ref: Ref) -> str:
    """A sentence on an output; empty where it is gone by itself or by a later purge."""
    if isinstance(ref, DataRef):
        return _revision(workspace, name, ref)
    try:
        workspace.artifacts.fetch(ref.uri, ref.digest)
    except PurgedError as error:
        return f"{name}: {error.what}"
    except StorageError as error:
        raise DataError(f"{name}: {error.what}", "Compare with the bundle in the evidence store.") from error
    return f"{name}: it is there, and each of its files has the digest of its manifest."


def _revision(workspace: Workspace, name: str, ref: DataRef) -> str:
    try:
        open_store(workspace, ref)
    except TmuError:
        return f"{name}: it is not here any more; the data have moved on, or it was purged."
    return f"{name}: it is there."
