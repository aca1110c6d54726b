"""Check the stored certificate of a request against all that this workspace has: keys, log, model, evidence."""

from pathlib import Path

from tmu_verify.verify import Against, Verified

from tmu.certificate.keyring import Keyring
from tmu.certificate.verified import verified
from tmu.certificate.weights import check_weights
from tmu.files import scratch_folder
from tmu.ledger import proof
from tmu.ledger.place import opened
from tmu.steps.facts_of_deletion import serving_model
from tmu.steps.issue_certificate import deletion_of, shown, stored
from tmu.workspace import Workspace


def check_certificate(workspace: Workspace, request: str) -> Verified:
    """What was checked. Raises CertificateError naming the fault, ChainError for a log that is broken."""
    path = stored(workspace, request)
    statement, settings = shown(path), workspace.settings
    roots = workspace.root / settings.timestamp_ca if settings.timestamp_ca and statement["predicate"]["time_stamp"] else None
    model = _model(workspace, request)
    against = Against(keys=Keyring(workspace).path, request=request, bundle=path.parent, roots=roots, model=model)
    with scratch_folder(workspace.state("scratch")) as scratch:
        if statement["predicate"]["log"] is not None:
            log = scratch / "log.jsonl"
            with opened(workspace) as ledger:
                proof.export(ledger, log)
            against = Against(**(vars(against) | {"log": log}))
        found = verified(path, against)
    if model is not None:
        check_weights(model, path.parent)
    return found


def _model(workspace: Workspace, request: str) -> Path | None:
    """The folder of the model that the certificate names; None where it names none."""
    model = serving_model(deletion_of(workspace, request)[0])
    return None if model is None else workspace.artifacts.fetch(model.uri, model.digest)
