"""The files that a certificate names by digest: the weights of the model, and the evidence beside it."""

import hashlib
from pathlib import Path

from tmu_verify.faults import Fault, Refused
from tmu_verify.statement import WEIGHTS, Statement

SUMS = "SHA256SUMS"


def check_model(path: Path, statement: Statement) -> str:
    """The SHA-256 of the weights, if they are those of the certificate. path: the folder of the model, or the file."""
    wanted = statement.subjects.get(WEIGHTS, {}).get("sha256")
    if wanted is None:
        raise Refused(Fault.MODEL_SWAPPED, "The certificate names no model.")
    found = _digest(path / WEIGHTS if path.is_dir() else path)
    if found is None:
        raise Refused(Fault.MODEL_SWAPPED, f"There is no {WEIGHTS} in {path.name}.")
    if found != wanted:
        raise Refused(
            Fault.MODEL_SWAPPED, f"The weights are {found[:16]}, the certificate names {wanted[:16]}: another model."
        )
    return found


def check_bundle(folder: Path, statement: Statement) -> int:
    """All files that the certificate names lie in the folder unchanged, and those of `SHA256SUMS`; returns how many."""
    wanted = statement.files()
    for name, digest in _sums(folder).items():
        if wanted.setdefault(name, digest) != digest:
            raise Refused(Fault.BUNDLE_CHANGED, f"{SUMS} names another {name} than the certificate.")
    for name, digest in sorted(wanted.items()):
        found = _digest(folder / name)
        if found is None:
            raise Refused(Fault.BUNDLE_INCOMPLETE, f"{name} is missing in {folder.name}.")
        if found != digest:
            raise Refused(Fault.BUNDLE_CHANGED, f"{name} was changed.")
    return len(wanted)


def _sums(folder: Path) -> dict[str, str]:
    """What `SHA256SUMS` lists (as `sha256sum` writes it), by path in the folder; none where there is no such file."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    listed: dict[str, str] = {}
    for line in path.read_text(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or ".." in Path(name).parts or Path(name).is_absolute():
            raise Refused(Fault.BUNDLE_CHANGED, f"A line of {SUMS} is none that we write.")
        listed[name] = digest
    return listed


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
