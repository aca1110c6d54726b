"""The signature of a model's folder (`model-signing`, OpenSSF), beside the certificate.

The key is made for one signature and destroyed at once: `model.pub` lies in the evidence, and the certificate, which
names it by its digest, vouches for it. So its rotation and revocation are those of the certificate's keys.
"""

import hashlib
from pathlib import Path

from tmu_verify.faults import Fault, Refused

from tmu.certificate.verified import CertificateError
from tmu.files import scratch_folder, write_atomic
from tmu.manifest import RUN

SIGNATURE, PUBLIC = "model.sig", "model.pub"


def sign_weights(model: Path, folder: Path, scratch: Path) -> None:
    """Write `model.sig` and `model.pub` to a folder. What is there already stays. model: its bundle."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from model_signing import hashing, signing

    if (folder / SIGNATURE).exists() and (folder / PUBLIC).exists():
        return
    private = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    with scratch_folder(scratch) as here:
        write_atomic(here / "key.pem", private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        hashed = hashing.Config().set_ignored_paths(paths=[RUN])
        config = signing.Config().use_elliptic_key_signer(private_key=here / "key.pem")
        config.set_hashing_config(hashed).sign(model, here / SIGNATURE)
        signature = (here / SIGNATURE).read_bytes()
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_atomic(folder / PUBLIC, public)
    write_atomic(folder / SIGNATURE, signature)


def check_weights(model: Path, folder: Path) -> str:
    """SHA-256 of the signature, if it is of this model's folder. Raises CertificateError where it is another."""
    from model_signing import verifying

    config = verifying.Config().use_elliptic_key_verifier(public_key=folder / PUBLIC)
    try:
        config.set_ignore_unsigned_files(True).verify(model, folder / SIGNATURE)
    except (ValueError, OSError) as error:
        what = f"the signature {SIGNATURE} is not of the model in {model.name}."
        raise CertificateError(Refused(Fault.MODEL_SWAPPED, what)) from error
    return hashlib.sha256((folder / SIGNATURE).read_bytes()).hexdigest()
