"""Certificates made by hand for tests: every field is filled, and nothing in it is of a person."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from tmu_verify.envelope import canonical
from tmu_verify.statement import PAYLOAD_TYPE

from tmu.certificate import parts
from tmu.certificate.certificate import NOT_PROVEN, Certificate, statement_of
from tmu.certificate.keyring import Keyring, signed
from tmu.provenance import now
from tmu.workspace import Workspace

WEIGHTS = b"weights of the model that forgot"


def check(result: parts.Result = "PASS") -> parts.Check:
    return parts.Check(by="tmu", tool="tmu 1", at=now(), result=result, found=("None is left.",))


def certificate(request: str = "r1", **changes: Any) -> Certificate:
    """A certificate of three records of one person."""
    names = ("membership", "difference of versions", "attribute", "extraction", "inversion", "reconstruction")
    fields: dict[str, Any] = {
        "request": request,
        "deletion": "d" * 16,
        "issued": now(),
        "issuer": parts.Issuer(name="The Museum", contact="privacy@museum.example"),
        "dates": parts.Dates(received=now(), identified=None, due=None, extended=False, done=now()),
        "grounds": (parts.Group(what="train", records=3, ground="asked for"),),
        "scope": parts.Scope(
            records=3, subjects=1, shards=1, by_split={"train": 3}, commitments={"records": "c" * 64}, plan="a" * 64
        ),
        "inventory": (
            parts.Entry(
                store="DVC's cache", holds="images", action="destroy", copies=1, tool="tmu 1", at=now(), operator="tmu",
                result="gone", checked="looked for again",
            ),
        ),
        "models": (parts.DerivedModel(name="models:/digits/1", fate="destroyed"),),
        "not_reached": (),
        "making": parts.Making(
            method="tmu-soft", options={}, exact=False, why=("chosen",), tool="tmu 1", commit="0" * 40, dirty="false",
            code="b" * 64, lock="b" * 64, parameters="b" * 64, seeds={"seed": 0}, hardware={}, data_before="1" * 32,
            data_after="2" * 32 + ".dir",
        ),
        "audit": None,
        "attacks": tuple(parts.Attack(name=name, state="not run", why="a test") for name in names),
        "verification": check(),
        "validation": check(),
        "recipients": (),
        "served": (parts.Served(version=2, weights="3" * 64, since=now()),),
        "mark": parts.Mark(kept="a tombstone", why="so that it cannot come back", until="the store is deleted"),
        "not_proven": NOT_PROVEN,
        "log": None,
    }  # fmt: skip
    return Certificate(**(fields | changes))


def written(workspace: Workspace, made: Certificate, folder: Path, files: dict[str, str] | None = None) -> Path:
    """Sign a certificate and lay it, with the list of keys, into a folder; returns its path."""
    ring = Keyring(workspace)
    signer, at = ring.signer(), now()
    if 0 <= (datetime.fromisoformat(at) - datetime.fromisoformat(made.issued)).total_seconds() < 5:
        made = made.model_copy(update={"issued": at})  # of just now: its key is there first, as in the step
    payload = canonical(statement_of(made, hashlib.sha256(WEIGHTS).hexdigest(), files or {}))
    data = signed(payload, PAYLOAD_TYPE, [signer])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keys.json").write_bytes(ring.path.read_bytes())
    path = folder / "certificate.json"
    path.write_bytes(data)
    return path
