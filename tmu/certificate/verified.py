"""`tmu_verify` for callers within tmu: a fault of a certificate is an error with its own exit code."""

from pathlib import Path

from tmu_verify.faults import Refused
from tmu_verify.verify import Against, Verified, verify

from tmu.errors import TmuError

_ASK = "Ask the issuer; docs/certificate.md lists the faults."
_PLACE = "Name the file: a workspace keeps it as .tmu/evidence/REQUEST/certificate.json, and `tmu pull` brings it."


class CertificateError(TmuError):
    """A certificate does not verify. fault: its name; the exit code is that of `tmu-verify`."""

    def __init__(self, refused: Refused, hint: str = _ASK) -> None:
        self.fault, self.exit_code = refused.fault, refused.exit_code
        super().__init__(f"{refused.fault.value}: {refused.what}", hint)


def verified(certificate: Path, against: Against) -> Verified:
    """The certificate, if it verifies. Raises CertificateError."""
    hint = _ASK if certificate.exists() else _PLACE
    try:
        return verify(certificate, against)
    except Refused as refused:
        raise CertificateError(refused, hint) from refused
