"""Issue the certificate of a completed deletion: gather, sign, stamp, store. Once for each request.

It lies in `.tmu/evidence/REQUEST/`: `certificate.json`, the list of public keys, and the time stamp. Every file that
lies there before is named in it by its digest. Nothing in it leads to a person.
"""

from collections.abc import Sequence
from pathlib import Path

import httpx
from tmu_verify.envelope import canonical
from tmu_verify.statement import PAYLOAD_TYPE
from tmu_verify.verify import KEYS, STAMP

from tmu.certificate import inventory
from tmu.certificate.audited import attacks_of
from tmu.certificate.certificate import NOT_PROVEN, Certificate, statement_of
from tmu.certificate.checked import accepted_unread, validation_of, verification_of
from tmu.certificate.keyring import Keyring, signed
from tmu.certificate.parts import Dates, Issuer, Recipient
from tmu.certificate.weights import sign_weights
from tmu.config import Config
from tmu.deletion.deletion import Deletion, Stage
from tmu.errors import GateError, StorageError, TmuError
from tmu.files import sha256_file, storage_errors, write_atomic
from tmu.heads.authority import authority_of
from tmu.ledger import evidence
from tmu.ledger.place import opened
from tmu.ledger.store import Ledger
from tmu.provenance import now
from tmu.steps import facts_of_deletion as facts
from tmu.steps.ledger.facts_of_request import RequestFacts, facts_of_request
from tmu.steps.ledger.log_heads import SYSTEM
from tmu.steps.stored_certificate import NAME, folder_of
from tmu.steps.tell_consumers import consumers_told
from tmu.steps.verify_erasure import report_of
from tmu.workspace import Workspace


class Issued(Config):
    """A certificate on disk. path: relative to the workspace. sha256: of the file. stamped: whether a time stamp is
    there.
    """

    request: str
    path: str
    sha256: str
    stamped: bool


class NotIssued(Config):
    """Why there is no certificate, and what to do. may_pass: a store or an authority refused, and may not next time."""

    request: str
    why: str
    hint: str
    may_pass: bool = False


class NotYetIssuedError(StorageError):
    """A certificate is not issued, and may be next time. issued: what became of each request."""

    def __init__(self, issued: Sequence[Issued | NotIssued], refused: NotIssued) -> None:
        self.issued = list(issued)
        super().__init__(refused.why, refused.hint)


def refuse_not_yet(issued: Sequence[Issued | NotIssued]) -> None:
    """Raise NotYetIssuedError where another try may issue what this one did not."""
    for each in issued:
        if isinstance(each, NotIssued) and each.may_pass:
            raise NotYetIssuedError(issued, each)


def issue_certificate(
    workspace: Workspace,
    deletion: Deletion,
    requests: Sequence[str] = (),
    found: Sequence[str] = (),
) -> list[Issued | NotIssued]:
    """Issue what is not issued yet. A refusal does not undo the deletion: it is returned, and can be tried again.

    requests: the ledger's ids that the deletion serves; none: the deletion is the request. found: what its
    verification saw to hold, in sentences.
    """
    if not requests:
        return [_tried(workspace, deletion, deletion.id, None, found)]
    with opened(workspace) as ledger:
        return [_tried(workspace, deletion, each, ledger, found) for each in requests]


def _tried(
    workspace: Workspace,
    deletion: Deletion,
    request: str,
    ledger: Ledger | None,
    found: Sequence[str],
) -> Issued | NotIssued:
    path = folder_of(workspace, request) / NAME
    try:
        if not path.exists():
            told = None if ledger is None else facts_of_request(workspace, ledger, request)
            made = gathered(workspace, deletion, request, told, found)
            _write(workspace, deletion, made, path)
        issued = _stamped(workspace, request, path)
        if ledger is not None:
            evidence.attach_all(ledger, [request], "certificate", issued.path, issued.sha256, SYSTEM)
        return issued
    except TmuError as error:
        passing = isinstance(error, StorageError)
        return NotIssued(request=request, why=error.what, hint=error.hint, may_pass=passing)


def gathered(
    workspace: Workspace,
    deletion: Deletion,
    request: str,
    told: RequestFacts | None,
    found: Sequence[str],
) -> Certificate:
    """All that is certified of one request. Raises GateError where no purge was carried out."""
    purge, settings = deletion.purged, workspace.settings
    verification = verification_of(purge, found or _seen_before(deletion))
    if purge is None:
        raise GateError(
            f"There is no certificate of request {request}: nothing was purged.",
            f"Run `tmu purge {deletion.id} --yes`.",
        )
    dates, audit = told.dates if told else _dates(deletion), facts.audited(workspace, deletion)
    searched = report_of(workspace, deletion.id)
    authority = authority_of(workspace)
    return Certificate(
        request=request,
        deletion=deletion.id,
        issued=now(),
        issuer=Issuer(name=settings.issuer, contact=settings.issuer_contact),
        dates=dates,
        grounds=facts.grounds_of(deletion, told.late_holds if told else ()),
        scope=facts.scope_in_numbers(deletion, purge),
        inventory=inventory.inventory_of(purge),
        models=(*inventory.models_of(purge), *facts.forgot(deletion)),
        not_reached=(*inventory.not_reached(purge, settings.backups, dates.done), *accepted_unread(searched)),
        making=facts.making_of(workspace, deletion),
        audit=audit,
        attacks=attacks_of(audit),
        verification=verification,
        validation=validation_of(searched),
        recipients=recipients_of(workspace, request),
        served=told.served if told else facts.served_here(workspace, deletion),
        mark=facts.MARK,
        not_proven=(*NOT_PROVEN, *facts.not_reached_by(workspace, deletion)),
        log=told.log if told else None,
        time_stamp=None if authority is None else authority.host,
    )


def recipients_of(workspace: Workspace, request: str) -> tuple[Recipient, ...]:
    """Who was told that models were withdrawn, and their answers so far; addresses as digests."""
    return tuple(
        Recipient(
            name=f"{each.way} {each.consumer}", told=each.told, answer=" ".join(filter(None, (each.answer, each.at)))
        )
        for each in consumers_told(workspace, request)
    )


def _seen_before(deletion: Deletion) -> list[str]:
    """A completed deletion was verified, or it would not be completed."""
    if deletion.stage is Stage.COMPLETED and deletion.audited:
        return ["The deletion was verified before it was completed: data, references and the model in service."]
    return []


def _dates(deletion: Deletion) -> Dates:
    """Of a request that no ledger counts."""
    done = deletion.times.get(Stage.COMPLETED) or now()
    return Dates(received=deletion.times[Stage.ACKNOWLEDGED], identified=None, due=None, extended=False, done=done)


def _write(workspace: Workspace, deletion: Deletion, made: Certificate, path: Path) -> None:
    """Sign and store. The keys come first: a certificate is never without them."""
    ring, model = Keyring(workspace), facts.serving_model(deletion)
    made.refuse_without_pass()
    signer = ring.signer()
    if model is not None:
        bundle = workspace.artifacts.fetch(model.uri, model.digest)
        sign_weights(bundle, path.parent, workspace.state("scratch"))
    files = {each.name: sha256_file(each) for each in _evidence(path.parent)}
    payload = canonical(statement_of(made.model_copy(update={"issued": now()}), model and model.weights, files))
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path.with_name(KEYS), ring.path.read_bytes())
    write_atomic(path, signed(payload, PAYLOAD_TYPE, [signer]))


def _evidence(folder: Path) -> list[Path]:
    """The files that the certificate names."""
    mine = {NAME, KEYS, NAME + STAMP}
    return sorted(each for each in folder.glob("[!.]*") if each.is_file() and each.name not in mine)


def _stamped(workspace: Workspace, request: str, path: Path) -> Issued:
    """Have it stamped where an authority is set. One that is away is asked again by the next call."""
    stamp, authority = path.with_name(path.name + STAMP), authority_of(workspace)
    if authority is not None and not stamp.exists():
        try:
            write_atomic(stamp, authority.stamp(path.read_bytes()))
        except httpx.HTTPError as error:
            raise StorageError(
                f"The certificate of request {request} is signed, but the time stamp authority does not answer "
                f"({type(error).__name__}).",
                "Run `tmu certificate issue` again.",
            ) from error
    name = path.relative_to(workspace.root).as_posix()
    return Issued(request=request, path=name, sha256=sha256_file(path), stamped=stamp.exists())
