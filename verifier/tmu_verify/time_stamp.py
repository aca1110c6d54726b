"""The time stamp (RFC 3161) of a certificate: an authority signed that these bytes existed at a time.

It lies beside the certificate as `FILE.tsr`. `openssl ts -verify -in FILE.tsr -data FILE -CAfile ROOTS` checks it, too.
"""

from datetime import datetime
from pathlib import Path

from tmu_verify.envelope import read_bytes
from tmu_verify.faults import Fault, Refused


def stamped_at(stamp: Path, roots: Path, data: bytes) -> datetime:
    """The time that the authority stamped on `data`. roots: PEM file with its root certificates. Raises Refused."""
    try:
        from cryptography.x509 import load_pem_x509_certificates
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response
    except ImportError as error:
        raise Refused(
            Fault.BAD_TIME_STAMP,
            "Time stamps need rfc3161-client: install `verifier[time]` from the repository (docs/certificate.md).",
        ) from error
    try:
        certificates = load_pem_x509_certificates(read_bytes(roots))
        answer = decode_timestamp_response(read_bytes(stamp))
        VerifierBuilder(roots=certificates).build().verify_message(answer, data)
        return answer.tst_info.gen_time
    except (VerificationError, ValueError) as error:
        raise Refused(
            Fault.BAD_TIME_STAMP, f"{stamp.name} is no time stamp of this authority for this certificate."
        ) from error
