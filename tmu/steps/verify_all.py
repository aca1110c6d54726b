"""The regular check of everything that must not change unseen: the audit log, the record store, the models."""

import logging
from collections.abc import Callable
from pathlib import Path

from tmu import manifest
from tmu.config import Config
from tmu.data.info import read_info
from tmu.data.store import RecordStore
from tmu.errors import DataError, StorageError, TmuError
from tmu.heads.own_note import write_own_note
from tmu.ledger import outbox
from tmu.ledger.actor import SYSTEM
from tmu.ledger.log import Head
from tmu.ledger.place import has_ledger, opened
from tmu.steps.check_version import check_version, is_former
from tmu.steps.cut_over import refuse_blocked, refuse_moved, refuse_unblocked
from tmu.steps.ledger.guard_data import refuse_returned
from tmu.steps.ledger.log_heads import LogVerified, verify_log
from tmu.steps.purge_ended import check_purges
from tmu.steps.register_model import model_of
from tmu.steps.store_keys import keys_of
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace

_log = logging.getLogger(__name__)


class Check(Config):
    """One check. found: what holds, or what does not."""

    name: str
    holds: bool
    found: str


class Verified(Config):
    """All checks. head: of the audit log, SEQ:HASH, to be kept elsewhere; None without a ledger, or a broken one."""

    checks: tuple[Check, ...]
    head: str | None

    @property
    def broken(self) -> list[str]:
        """Names of the checks that did not hold."""
        return [check.name for check in self.checks if not check.holds]


def verify_all(workspace: Workspace) -> Verified:
    """Check everything, whatever the first check says; what does not hold is logged and announced.

    Raises StorageError where the ledger cannot be reached: then nothing can be announced either.
    """
    logs: list[LogVerified] = []
    parts = {
        "audit log": lambda: check_log(workspace, logs),
        "heads outside": lambda: check_compared(logs),
        "record store": lambda: _check_store(workspace),
        "forgotten": lambda: _check_forgotten(workspace),
        "purges": lambda: check_purges(workspace),
        "models": lambda: check_models(workspace),
    }
    verified = Verified(
        checks=tuple(_checked(name, part) for name, part in parts.items()), head=logs[0].head if logs else None
    )
    if verified.broken and has_ledger(workspace):
        with opened(workspace) as ledger, ledger.write(SYSTEM) as tx:
            tx.log("verification_failed", broken=verified.broken)
            outbox.announce(tx, "verification_failed", broken=verified.broken)
    return verified


def _checked(name: str, part: Callable[[], str]) -> Check:
    try:
        return Check(name=name, holds=True, found=part())
    except TmuError as error:
        return Check(name=name, holds=False, found=f"{error.what} {error.hint}")
    except Exception as error:  # a check that cannot be made must not hide the others, and does not pass
        _log.exception("%s cannot be checked", name)
        return Check(name=name, holds=False, found=f"It cannot be checked ({type(error).__name__}).")


def check_log(workspace: Workspace, found: list[LogVerified]) -> str:
    """The log holds together, and with the heads that were noted here and outside."""
    if not has_ledger(workspace):
        return "There is no ledger yet."
    with opened(workspace) as ledger:
        verified = verify_log(workspace, ledger)
        if verified.notable:
            with ledger.write(SYSTEM) as tx:
                outbox.announce_head(tx, "verification")
    if verified.notable:
        write_own_note(workspace, Head.parse(verified.head))
    found.append(verified)
    return f"{verified.entries} entries are valid; the state of each request agrees with the log."


def check_compared(found: list[LogVerified]) -> str:
    """Every place outside could be asked. What they hold was compared with the log before."""
    for verified in found:
        if verified.silent:
            raise StorageError("The log could not be compared with all heads noted outside.", " ".join(verified.silent))
        return f"Compared with: {'; '.join(map(str, verified.compared)) or 'nothing, no head was noted before'}."
    return "There is nothing to compare."


def _check_store(workspace: Workspace) -> str:
    store = RecordStore.open(workspace.data, cache=workspace.state("index"))
    keys_of(workspace, store.info)
    report = store.verify()
    if store.digest() != workspace.versions.revision(workspace.data):
        raise DataError("data/ is not the revision that data.dvc names.", "Restore it with `dvc checkout data.dvc`.")
    return f"{report['records']} records in {report['shards']} shards are sound and are the revision of data.dvc."


def _check_forgotten(workspace: Workspace) -> str:
    refuse_returned(workspace)
    return "No record of a completed deletion is in the data."


def check_models(workspace: Workspace) -> str:
    """Every bundle here and its statistics match their manifests, every version what was registered; the record names
    who serves.
    """
    held = workspace.artifacts.held("model")
    for folder in [*held, *workspace.artifacts.held("statistics")]:
        manifest.check(folder)
    dataset = read_info(workspace.data).dataset
    versions, champion = workspace.registry.versions(dataset), workspace.registry.get_alias(dataset, "champion")
    for version in versions:
        if version.purged:
            continue
        if version == champion or not is_former(workspace, version):
            check_version(workspace, version)
    refuse_unblocked(workspace, dataset, versions)
    if champion is None:
        return f"{_sound(held, versions)}; none is in service."
    refuse_blocked(workspace, champion)
    refuse_moved(workspace, champion)
    model = model_of(champion)
    workspace.artifacts.fetch(model.uri, model.digest)
    if model.weights != champion.weights_sha256:
        raise StorageError("The model in service has other weights than its version says.", "Find out who changed it.")
    return f"{_sound(held, versions)}; version {champion.version} is in service."


def _sound(held: list[Path], versions: list[Version]) -> str:
    former = sum(version.files_sha256 is None for version in versions)
    found = f"{len(held)} models match their manifests; {len(versions) - former} versions match their digests"
    return found + (f" ({former} of an older tmu have none)" if former else "")
