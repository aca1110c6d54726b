"""Who serves and what must never serve again, as recorded outside MLflow: the alias and the tags there must agree.

The record is a file of the journal, `.tmu/versions/serving-<dataset>.json`, and the ledger's log, which counts first.
Versions are told apart by their weights: a blocked model is blocked under every number.
"""

from collections.abc import Sequence

from pydantic import ValidationError

from tmu.config import Config
from tmu.errors import DataError
from tmu.files import read_json, write_atomic
from tmu.ledger import serving
from tmu.ledger.place import has_ledger, opened
from tmu.stores.mlflow_stored import refuse_tagged
from tmu.stores.mlflow_versions import Version, model_name
from tmu.workspace import Workspace


class CutOver(Config):
    """The last cut-over. files: digest of the list of stored files. blocked: weights that must not serve again."""

    version: int
    weights: str
    files: str | None = None
    blocked: frozenset[str] = frozenset()


def record_cut_over(workspace: Workspace, version: Version, blocked: set[str]) -> None:
    """Note in the journal that a version serves from now on. blocked: weights, beside those blocked before."""
    dataset = _dataset(version)
    last = _in_journal(workspace, dataset)
    if last is not None:
        blocked = blocked | last.blocked | {last.weights}
    now = CutOver(
        version=version.version,
        weights=version.weights_sha256,
        files=version.files_sha256,
        blocked=frozenset(blocked - {version.weights_sha256}),
    )
    if now != last:
        content = now.model_dump_json(indent=2)
        write_atomic(workspace.state("versions", f"serving-{dataset}.json"), content.encode())


def last_cut_over(workspace: Workspace, dataset: str) -> CutOver | None:
    """The last cut-over on record; None before the first. Raises DataError for a damaged record."""
    noted = _in_journal(workspace, dataset)
    logged = _in_log(workspace, dataset)
    if logged is None or noted is None:
        return logged or noted
    return logged.model_copy(update={"blocked": (logged.blocked | noted.blocked) - {logged.weights}})


def blocked_weights(workspace: Workspace) -> frozenset[str]:
    """SHA-256 of the weights that must not serve again, of all datasets on record here."""
    names = [path.stem.removeprefix("serving-") for path in workspace.state("versions").glob("serving-*.json")]
    found = [last_cut_over(workspace, name) for name in names]
    return frozenset(weights for each in found if each is not None for weights in each.blocked)


def refuse_blocked(workspace: Workspace, version: Version) -> None:
    """Raise DataError for a version that is blocked, by its tag or, where the tag was removed, on record."""
    refuse_blocked_by(last_cut_over(workspace, _dataset(version)), version)


def refuse_blocked_by(last: CutOver | None, version: Version) -> None:
    """The same, by a record that was read before."""
    refuse_tagged(version)
    if last is not None and version.weights_sha256 in last.blocked:
        raise _untagged(version)


def refuse_unblocked(workspace: Workspace, dataset: str, versions: Sequence[Version]) -> None:
    """Raise DataError for a version that is blocked on record, but not in MLflow."""
    last = last_cut_over(workspace, dataset)
    for version in versions if last is not None else ():
        if version.weights_sha256 in last.blocked and not version.refused:
            raise _untagged(version)


def refuse_moved(workspace: Workspace, champion: Version) -> None:
    """Raise DataError where `@champion` is not the version that was put into service last."""
    last = last_cut_over(workspace, _dataset(champion))
    if last is None:
        return
    fix = "It was changed past the flows: find out by whom, then put the right one into service."
    if (last.version, last.weights) != (champion.version, champion.weights_sha256):
        text = f"Version {champion.version} is in service, but the record says version {last.version}"
        same = " with other weights" if last.version == champion.version else ""
        raise DataError(f"{text}{same}.", fix)
    if last.files not in (None, champion.files_sha256):  # an older tmu put none on record
        raise DataError(f"{champion.name}, version {champion.version}, is on record with other files.", fix)


def _in_journal(workspace: Workspace, dataset: str) -> CutOver | None:
    path = workspace.state("versions", f"serving-{dataset}.json")
    if not path.exists():
        return None
    try:
        return CutOver.model_validate(read_json(path))
    except (ValidationError, ValueError) as error:
        raise DataError(f"The journal's record {path.name} is damaged.", "Restore it from a backup.") from error


def _in_log(workspace: Workspace, dataset: str) -> CutOver | None:
    if not has_ledger(workspace):
        return None
    with opened(workspace) as ledger, ledger.read() as connection:
        found = list(serving.cut_overs(connection, dataset))
    if not found:
        return None
    last = found[0]
    blocked = frozenset(facts["weights"] for facts in found) - {last["weights"]}
    return CutOver(version=last["version"], weights=last["weights"], files=last.get("files"), blocked=blocked)


def _dataset(version: Version) -> str:
    return version.name.removeprefix(model_name(""))


def _untagged(version: Version) -> DataError:
    return DataError(
        f"{version.name}, version {version.version}, is blocked on record: it learned records that were erased. Its "
        "tag `serving` is not `blocked` any more.",
        "MLflow was changed outside of the flows: find out by whom, and set the tag again.",
    )
