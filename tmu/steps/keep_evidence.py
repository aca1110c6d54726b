"""Before the purge: write a deletion's manifest, and keep the audit's report and numbers beside it."""

from pathlib import Path
from typing import Any

from tmu import __version__, manifest
from tmu.audit.moved import parameters_moved
from tmu.config import Seeds
from tmu.deletion.deletion import Deletion, Stage
from tmu.evidence.manifest import NAME, Environment, Made, Manifest, read_manifest, write_manifest
from tmu.files import digest_of, read_json, write_atomic
from tmu.provenance import lock_digest
from tmu.steps.cases import UnlearnCase
from tmu.steps.loading import load_model
from tmu.stores.lock import locked
from tmu.workspace import Workspace

AUDIT, REPORT = "audit.json", "report.html"


def evidence_folder(workspace: Workspace, request: str) -> Path:
    """Where the evidence of a deletion, or of a request of the ledger, lies on this machine."""
    return workspace.state("evidence", request)


def keep_evidence(workspace: Workspace, deletion: Deletion) -> Manifest | None:
    """The manifest of a deletion whose model is unlearned; None where no model had learned the records.

    Written once: what a resumed run finds is what the first one wrote, since by then the purge may have taken what it
    is made from. Raises StorageError where the unlearned model is gone before that.
    """
    if deletion.unlearned is None or deletion.base is None or deletion.data is None:
        return None
    folder = evidence_folder(workspace, deletion.id)
    with locked(workspace.state("evidence.lock")):
        if (folder / NAME).exists():
            return read_manifest(folder)
        kept = manifest_of(workspace, deletion)
        for name, content in _audit(workspace, deletion).items():
            write_atomic(folder / name, content)
        write_manifest(folder, kept)  # last: it says that the rest is there
    return kept


def manifest_of(workspace: Workspace, deletion: Deletion) -> Manifest:
    """The manifest as the stores have it now. The environment is the one that the model's own records name."""
    case = case_of(deletion)
    folder = workspace.artifacts.fetch(deletion.unlearned.uri, deletion.unlearned.digest)
    identity = manifest.read(folder)["identity"]
    outcome = deletion.outcome
    return Manifest(
        request=deletion.id,
        at=deletion.times[Stage.UNLEARNED],
        case=case,
        seeds=Seeds.all(case.params.seed).model_dump(),
        code=identity["code"],
        lock=lock_digest(),
        version=__version__,
        identity=digest_of(identity),
        environment=environment_of(folder),
        moved=_moved(workspace, deletion),
        made=Made(
            unlearned=deletion.unlearned,
            data=deletion.data,
            audit=outcome.audit if outcome else None,
            failed_audit=deletion.failed_audit,
            references=deletion.references_after,
            serves=outcome.serves if outcome else None,
        ),
        verdict=outcome.verdict.outcome if outcome else "none",
    )


def case_of(deletion: Deletion) -> UnlearnCase:
    """What was unlearned: as `flows/carry_out.py` had it made. Exact retraining was given neither table nor twin."""
    exact = deletion.exact
    return UnlearnCase(
        data=deletion.plan.data,
        forget=deletion.forget,
        original=deletion.base,
        twin=None if exact else deletion.twin,
        references=None if exact else deletion.references,
        params=deletion.params,
    )


def environment_of(folder: Path) -> Environment:
    """The compute environment of a model's folder, by its identity and its run record."""
    lane = manifest.read(folder)["identity"].get("lane", {})
    record: dict[str, Any] = read_json(folder / manifest.RUN) if (folder / manifest.RUN).exists() else {}
    hardware = record.get("hardware", {})
    named = {name: str(hardware.get(name, "")) for name in ("torch", "capability", "gpu", "machine")}
    return Environment(**{"device": "", "precision": "", "threads": 0} | lane | named)


def _moved(workspace: Workspace, deletion: Deletion) -> float:
    """How far the parameters moved; 0 where the architecture is another, since a class went as a whole."""
    if deletion.plan.retires:
        return 0.0
    original, unlearned = (load_model(workspace, each)[0] for each in (deletion.base, deletion.unlearned))
    return parameters_moved(original, unlearned)


def _audit(workspace: Workspace, deletion: Deletion) -> dict[str, bytes]:
    """The report and the numbers of the audit that counts; empty without one."""
    if deletion.outcome is None:
        return {}
    audit = deletion.outcome.audit
    folder = workspace.artifacts.fetch(audit.uri, audit.digest)
    return {name: (folder / name).read_bytes() for name in (AUDIT, REPORT)}
