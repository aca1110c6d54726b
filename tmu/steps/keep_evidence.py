"""Before the purge: a deletion's manifest, the audit's report and numbers, model card and bill of materials.

They are written before the certificate, which names each of them by its digest.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmu import __version__, manifest
from tmu.audit.moved import parameters_moved
from tmu.config import Seeds, TrainConfig
from tmu.deletion.deletion import Deletion, Stage
from tmu.evidence import model_card, sbom
from tmu.evidence.manifest import NAME, Environment, Made, Manifest, manifest_bytes, read_manifest
from tmu.files import digest_of, read_json, write_atomic
from tmu.provenance import hardware, lock_digest, lock_file
from tmu.steps.cases import UnlearnCase
from tmu.steps.loading import load_model
from tmu.steps.making import lane_of
from tmu.steps.ridge_statistics import find_statistics
from tmu.steps.stored_certificate import folder_of
from tmu.stores.lock import locked
from tmu.unlearn import needs_statistics
from tmu.workspace import Workspace

_NAMED = ("torch", "capability", "gpu", "machine")  # of `hardware()`
AUDIT, REPORT = "audit.json", "report.html"


def keep_evidence(workspace: Workspace, deletion: Deletion, requests: Sequence[str] = ()) -> Manifest | None:
    """The manifest of a deletion whose model is unlearned; None where no model had learned the records.

    requests: the ledger's ids that the deletion serves; each gets the same files. Written once: what a resumed run
    finds is what the first one wrote, since by then the purge may have taken what it is made from. Raises StorageError
    where the unlearned model is gone before that.
    """
    folder = folder_of(workspace, deletion.id)
    with locked(workspace.state("evidence.lock")):
        if not (folder / sbom.NAME).exists():
            for name, content in _documents(workspace, deletion).items():
                write_atomic(folder / name, content)
            at = deletion.times.get(Stage.ERASED) or deletion.times[Stage.ACKNOWLEDGED]
            write_atomic(folder / sbom.NAME, sbom.bill_of_materials(at, lock_file()))  # last: the rest is there
        for request in requests:
            _copy(folder, folder_of(workspace, request))
    return read_manifest(folder) if (folder / NAME).exists() else None


def _documents(workspace: Workspace, deletion: Deletion) -> dict[str, bytes]:
    """Manifest, audit and model card; empty where no model had learned the records."""
    if deletion.unlearned is None or deletion.base is None or deletion.data is None:
        return {}
    kept, audit = manifest_of(workspace, deletion), _audit(workspace, deletion)
    numbers = json.loads(audit[AUDIT]) if audit else None
    return audit | {NAME: manifest_bytes(kept), model_card.NAME: model_card.model_card(kept, numbers)}


def _copy(source: Path, target: Path) -> None:
    for name in (NAME, AUDIT, REPORT, model_card.NAME, sbom.NAME):
        if (source / name).exists() and not (target / name).exists():
            write_atomic(target / name, (source / name).read_bytes())


def manifest_of(workspace: Workspace, deletion: Deletion) -> Manifest:
    """The manifest as the stores have it now. The environment is the one that the model's own records name."""
    case = case_of(workspace, deletion)
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
            statistics=find_statistics(workspace, deletion.unlearned),
            serves=outcome.serves if outcome else None,
        ),
        verdict=outcome.verdict.outcome if outcome else "none",
    )


def case_of(workspace: Workspace, deletion: Deletion) -> UnlearnCase:
    """What was unlearned: as `flows/carry_out.py` had it made. Exact methods were given neither table nor twin."""
    exact = deletion.exact
    subtracted = needs_statistics(deletion.method)
    return UnlearnCase(
        data=deletion.plan.data,
        forget=deletion.forget,
        original=deletion.base,
        twin=None if exact else deletion.twin,
        references=None if exact else deletion.references,
        statistics=find_statistics(workspace, deletion.base) if subtracted else None,
        params=deletion.params,
    )


def environment_of(folder: Path) -> Environment:
    """The compute environment of a model's folder, by its identity and its run record."""
    lane = manifest.read(folder)["identity"].get("lane", {})
    record: dict[str, Any] = read_json(folder / manifest.RUN) if (folder / manifest.RUN).exists() else {}
    return _environment({"device": "", "precision": "", "threads": 0} | lane, record.get("hardware", {}))


def environment_here(workspace: Workspace, recipe: TrainConfig) -> Environment:
    """The compute environment of this process for a recipe."""
    return _environment(lane_of(workspace, recipe), hardware())


def _environment(lane: dict[str, Any], found: dict[str, Any]) -> Environment:
    return Environment(**lane, **{name: str(found.get(name, "")) for name in _NAMED})


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
