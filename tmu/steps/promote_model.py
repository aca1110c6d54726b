"""Serving cut-over: put a version into service, block what it supersedes, and put on record who serves from now on."""

from collections.abc import Iterator
from contextlib import contextmanager

from tmu.config import Config
from tmu.errors import StorageError
from tmu.ledger import executions, serving
from tmu.ledger.actor import SYSTEM
from tmu.ledger.place import has_ledger, opened
from tmu.ledger.store import Tx
from tmu.refs import DataRef
from tmu.steps.check_version import check_version
from tmu.steps.cut_over import last_cut_over, record_cut_over, refuse_blocked_by
from tmu.steps.ledger.batch import Work
from tmu.steps.loading import data_ref
from tmu.steps.register_model import dataset_name
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


class Service(Config):
    """What serves. version: None where the data have moved on and nothing was put into service."""

    version: int | None
    blocked: tuple[int, ...] = ()


def promote_model(workspace: Workspace, data: DataRef, number: int, work: Work | None = None) -> Service:
    """Move `champion` to a version; every other version that served, or has the same weights, is blocked at once.

    work: the attempt at whose end this stands; an attempt that was superseded publishes nothing (ConflictError). An
    older deletion's model never comes back: where the data have moved on since `data`, nothing happens. A version whose
    stored files are not those that were registered is refused (ModelError), and so is a blocked one (DataError).
    """
    checked = _checked(workspace, data, number)
    last = None if checked is None else last_cut_over(workspace, dataset_name(workspace, data))
    with _fence(workspace, work) as tx:
        if data.digest != data_ref(workspace).digest:
            return Service(version=None)
        name, registry = dataset_name(workspace, data), workspace.registry
        before = registry.get_alias(name, "champion")
        versions = {version.version: version for version in registry.versions(name)}
        new = versions[number]
        if new != checked:
            raise StorageError(f"Version {number} was changed while it was checked.", "Find out who changed it.")
        refuse_blocked_by(last, new)
        former = {each.weights_sha256 for each in [before] if each} | {each.weights for each in [last] if each}
        blocked = _block(workspace, name, list(versions.values()), former - {new.weights_sha256})
        # blocked first: a crash leaves the old one blocked
        registry.set_alias(name, "champion", new)
        if tx is not None:
            facts = {"data": data.digest, "blocked": list(blocked), "batch": work and work.batch}
            serving.record(tx, name, number, new.weights_sha256, files=new.files_sha256, **facts)
        never = {each.weights_sha256 for each in versions.values() if each.refused}
        record_cut_over(workspace, new, never | former)
    return Service(version=number, blocked=blocked)


def _checked(workspace: Workspace, data: DataRef, number: int) -> Version | None:
    """The version, after a look at every stored file of it; before the ledger is held for the cut-over.

    None where the data have moved on: then it will not be put into service.
    """
    if data.digest != data_ref(workspace).digest:
        return None
    found = workspace.registry.versions(dataset_name(workspace, data))
    version = next(version for version in found if version.version == number)
    check_version(workspace, version)
    return version


def _block(workspace: Workspace, name: str, versions: list[Version], former: set[str]) -> tuple[int, ...]:
    """Mark all versions with the weights that served before; returns them."""
    old = [version for version in versions if version.weights_sha256 in former]
    for version in old:
        if not version.refused:
            workspace.registry.block(name, version)
    return tuple(version.version for version in old)


@contextmanager
def _fence(workspace: Workspace, work: Work | None) -> Iterator[Tx | None]:
    """The ledger's transaction in which the cut-over stands; None where the workspace has no ledger."""
    if work is None and not has_ledger(workspace):
        yield None
        return
    with opened(workspace) as ledger:
        if work is None:
            with ledger.write(SYSTEM) as tx:
                yield tx
        else:
            with executions.publishing(ledger, work.token, SYSTEM, serving.CUT_OVER) as tx:
                yield tx
