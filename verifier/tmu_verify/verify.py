"""All checks of a certificate, in one call. What is not given is not checked, and is listed as such."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tmu_verify import statement as form
from tmu_verify.envelope import check_signatures, open_envelope, parse, read_bytes
from tmu_verify.evidence import check_bundle, check_model
from tmu_verify.faults import Fault, Refused
from tmu_verify.keys import KeyList, read_keys
from tmu_verify.log import check_log
from tmu_verify.statement import Statement, statement_of
from tmu_verify.time_stamp import stamped_at

KEYS, STAMP = "keys.json", ".tsr"


@dataclass(frozen=True)
class Against:
    """What a certificate is compared with. keys: the issuer's list; else `keys.json` beside the certificate.

    request: the id that it must answer. log: an extract of the audit log. model: the folder of the weights. bundle: the
    folder of the evidence. roots: root certificates (PEM) of the time stamp authority; stamp: its answer, else
    `FILE.tsr` beside the certificate.
    """

    keys: Path | None = None
    request: str | None = None
    log: Path | None = None
    model: Path | None = None
    bundle: Path | None = None
    roots: Path | None = None
    stamp: Path | None = None


@dataclass(frozen=True)
class Verified:
    """A certificate that verifies. signed_by: ids of keys. checked, not_checked: sentences."""

    statement: Statement
    signed_by: tuple[str, ...]
    stamped: datetime | None
    checked: tuple[str, ...]
    not_checked: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "verified": True,
            "request": self.statement.request,
            "issuer": self.statement.predicate["issuer"],
            "issued": self.statement.predicate["issued"],
            "signed_by": list(self.signed_by),
            "stamped": self.stamped and self.stamped.isoformat(),
            "checked": list(self.checked),
            "not_checked": list(self.not_checked),
        }


@dataclass
class _Notes:
    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)


def verify(certificate: Path, against: Against = Against()) -> Verified:
    """Verify a certificate. Raises Refused naming the first fault."""
    data, notes = read_bytes(certificate), _Notes()
    envelope = open_envelope(data, form.PAYLOAD_TYPE, "the certificate")
    keys = read_keys(against.keys or certificate.with_name(KEYS))
    check_signatures(envelope, {keyid: listed.key for keyid, listed in keys.keys.items()}, "the certificate")
    statement = statement_of(parse(envelope.payload, "the statement"))
    notes.checked.append("form and signature")
    if against.keys is None:
        notes.not_checked.append("the keys: they lay beside the certificate; compare their ids with the issuer's")
    stamped = _stamped(certificate, data, statement, against, notes)
    for keyid in envelope.signatures:
        keys.check(keyid, statement.issued, stamped)
    notes.checked.append(_age(keys))
    _check_request(statement, against.request, notes)
    _check_log(statement, against.log, notes)
    _check_files(statement, against, notes)
    signed_by = tuple(envelope.signatures)
    return Verified(statement, signed_by, stamped, tuple(notes.checked), tuple(notes.not_checked))


def _age(keys: KeyList) -> str:
    return f"keys in force and not revoked, by the list of {keys.issued:%Y-%m-%d %H:%M} UTC"


def _stamped(certificate: Path, data: bytes, statement: Statement, against: Against, notes: _Notes) -> datetime | None:
    stamp = against.stamp or certificate.with_name(certificate.name + STAMP)
    if against.roots is None:
        promised = statement.predicate["time_stamp"]
        notes.not_checked.append(f"the time stamp{f' of {promised}' if promised else ''}: no root certificates given")
        return None
    if not stamp.exists():
        raise Refused(Fault.NO_TIME_STAMP, f"There is no {stamp.name} beside the certificate.")
    at = stamped_at(stamp, against.roots, data)
    notes.checked.append(f"time stamp of {at.isoformat()}")
    return at


def _check_request(statement: Statement, request: str | None, notes: _Notes) -> None:
    if request is None:
        notes.not_checked.append("whose it is: no request given")
    elif statement.request != request:
        raise Refused(Fault.WRONG_REQUEST, f"It is the certificate of {statement.request}, not of {request}.")
    else:
        notes.checked.append(f"request {request}")


def _check_log(statement: Statement, log: Path | None, notes: _Notes) -> None:
    head = statement.predicate["log"]
    if log is None:
        notes.not_checked.append("the audit log: " + ("there is none" if head is None else "no extract given"))
        return
    if head is None:
        raise Refused(Fault.LOG_REWRITTEN, "The certificate names no head of a log: the deletion had no ledger.")
    notes.checked.append(f"{check_log(log, head, statement.request)} entries of the audit log up to its head")


def _check_files(statement: Statement, against: Against, notes: _Notes) -> None:
    if against.model is None:
        notes.not_checked.append("the model: no folder given")
    else:
        notes.checked.append(f"weights {check_model(against.model, statement)[:16]}")
    if against.bundle is None:
        notes.not_checked.append("the evidence: no folder given")
    else:
        notes.checked.append(f"{check_bundle(against.bundle, statement)} files of the evidence")
