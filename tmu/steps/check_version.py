"""Whether a registered version is still what was registered: its files in MLflow against a record outside MLflow.

The record is an entry of the ledger's log, and a file of the journal, which has to do where there is no ledger. It is
made when the version is registered, and looked at before the version is put into service, loaded, or reported as sound.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tmu.errors import DataError, ModelError
from tmu.files import read_json, write_json
from tmu.ledger import serving
from tmu.ledger.actor import SYSTEM
from tmu.ledger.place import has_ledger, opened
from tmu.models.served import ServedModel, load
from tmu.steps.cut_over import last_cut_over, refuse_blocked
from tmu.stores.mlflow import Version
from tmu.stores.mlflow_versions import model_name
from tmu.workspace import Workspace

_MODEL = re.compile("m-[0-9a-f]{32}")  # MLflow's id of a stored model: new with each registration


def record_version(workspace: Workspace, version: Version) -> None:
    """Note the digests of a version that was just registered; once more changes nothing.

    Raises DataError where others are on record: MLflow was changed outside of the flows.
    """
    if not _MODEL.fullmatch(version.model_id):
        raise DataError(
            f"{_title(version)} names no stored model.", "Find out who changed MLflow outside of the flows."
        )
    facts, path = _facts(version), _path(workspace, version)
    if has_ledger(workspace):
        with opened(workspace) as ledger, ledger.write(SYSTEM) as tx:
            _refuse_other(version, serving.record_registered(tx, version.model_id, **facts))
    if not path.exists():
        write_json(path, facts)
    _refuse_other(version, _in_journal(workspace, version))


def check_version(workspace: Workspace, version: Version) -> None:
    """Check every stored file of a version. Raises ModelError naming the file, DataError where the record differs."""
    _check_record(workspace, version)
    with workspace.registry.stored(version):
        pass


def load_version(workspace: Workspace, version: Version, digest: str | None = None) -> ServedModel:
    """The model of a version, after the same check. digest: one more that its list of files must have.

    Raises DataError, too, for a version that is blocked.
    """
    with checked_bundle(workspace, version, digest) as bundle:
        return load(bundle)


@contextlib.contextmanager
def checked_bundle(workspace: Workspace, version: Version, digest: str | None = None) -> Iterator[Path]:
    """Yield the bundle of a version that may be used, after the same check; raises as `load_version`."""
    refuse_blocked(workspace, version)
    _check_record(workspace, version)
    with workspace.registry.stored(version, digest) as bundle:
        yield bundle


def recorded_weights(workspace: Workspace, version: Version) -> str:
    """The weights that a version serves with: by the last cut-over, else by the record of the version.

    A version of an older tmu is on no record: there its own tag has to do.
    """
    last = last_cut_over(workspace, _facts(version)["dataset"])
    if last is not None:
        return last.weights
    return (_known(workspace, version) or _facts(version))["weights"]


def is_former(workspace: Workspace, version: Version) -> bool:
    """Whether an older tmu registered a version: it has no digests, and none are on record."""
    return version.files_sha256 is None and _known(workspace, version) is None


def _check_record(workspace: Workspace, version: Version) -> None:
    """Raises ModelError for a version that is not on record, DataError for one that is recorded otherwise."""
    known = _known(workspace, version)
    if known is None:
        what = (
            "an older tmu registered it" if version.files_sha256 is None else "it was registered outside of the flows"
        )
        raise ModelError(
            f"{_title(version)} is not on record: {what}.",
            "Register it again: `tmu doctor --fix`, or `tmu train original --register`.",
        )
    _refuse_other(version, known)


def _known(workspace: Workspace, version: Version) -> dict[str, Any] | None:
    """What is on record: in the ledger, else in the journal, which is there before a ledger is."""
    if not _MODEL.fullmatch(version.model_id):
        return None
    if has_ledger(workspace):
        with opened(workspace) as ledger, ledger.read() as connection:
            known = serving.registered(connection, version.model_id)
        if known is not None:
            return known
    return _in_journal(workspace, version)


def _in_journal(workspace: Workspace, version: Version) -> dict[str, Any] | None:
    path = _path(workspace, version)
    if not path.exists():
        return None
    try:
        return dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise DataError(f"The journal's record {path.name} is damaged.", "Restore it from a backup.") from error


def _refuse_other(version: Version, known: dict[str, Any] | None) -> None:
    if known != _facts(version):
        raise DataError(
            f"{_title(version)} is on record with other files.",
            "MLflow was changed outside of the flows: find out by whom. `tmu doctor --fix` restores the sound copy.",
        )


def _facts(version: Version) -> dict[str, Any]:
    """What is on record of a version, by its tags."""
    return {
        "dataset": version.name.removeprefix(model_name("")),
        "version": version.version,
        "weights": version.weights_sha256,
        "files": version.files_sha256,
    }


def _title(version: Version) -> str:
    return f"{version.name}, version {version.version},"


def _path(workspace: Workspace, version: Version) -> Path:
    return workspace.state("versions", f"{version.model_id}.json")
