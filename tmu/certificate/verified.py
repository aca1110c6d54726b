"""`tmu_verify` for callers within tmu: a fault of a certificate is an error with its own exit code."""

from pathlib import Path

from tmu_verify.faults import Refused
from tmu_verify.verify import Against, Verified, verify

from tmu.errors import TmuError


class CertificateError(TmuError):
    """A certificate does not verify. fault: its name; the exit code is that of `tmu-verify`."""

    def __init__(self, refused: Refused) -> None:
        self.fault, self.exit_code = refused.fault, refused.exit_code
        super().__init__(
            f"{refused.fault.value}: {refused.what}", "Ask the issuer; docs/certificate.md lists the faults."
        )


def verified(certificate: Path, against: Against) -> Verified:
    """The certificate, if it verifies. Raises CertificateError."""
    try:
        return verify(certificate, against)
    except Refused as refused:
        raise CertificateError(refused) from refused
