"""What an S3 store must be able to do, tried on it: keep what it is sent, and let the first of two writers win.

One small object is left at `PREFIX/doctor/CHECKSUMS`, so that repeating the probe stores nothing new.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tmu.check import Check
from tmu.stores.s3_access import S3Access, put

_WORD = b"tmu doctor was here\n"
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_CHECKSUMS = 'Set `s3_checksums = "when_required"` in tmu.toml (for MLflow AWS_REQUEST_CHECKSUM_CALCULATION, too).'
_CONDITIONS = (
    "Use a store that honours `If-None-Match: *` (Amazon S3, Ceph, MinIO do); until then let one machine alone write."
)
_REACH = "Check the address, the bucket and the credentials (settings s3_…, AWS_*)."


@dataclass(frozen=True)
class _Tried:
    """One conditional put. error: the service's code, None if it was accepted. kept: there is now what was sent."""

    error: str | None
    kept: bool

    @property
    def taken(self) -> bool:
        """Whether it was refused because the object is there."""
        return self.error in _TAKEN

    @property
    def works(self) -> bool:
        """Whether the store understood the call and holds what it was sent."""
        return (self.error is None or self.taken) and self.kept


def probe(access: S3Access, bucket: str, prefix: str, what: str) -> list[Check]:
    """Findings `WHAT: checksums` and `WHAT: conditional put`; only the first where nothing can be stored."""
    first = _try(access, bucket, prefix)
    if not first.works:
        return [_checksums(access, bucket, prefix, what, first)]
    second = _try(access, bucket, prefix)
    stored = Check(f"{what}: checksums", "ok", "it keeps what it is sent")
    if second.taken:
        return [stored, Check(f"{what}: conditional put", "ok", "a second writer is refused")]
    text = "it ignores `If-None-Match`: of two writers the last one wins"
    return [stored, Check(f"{what}: conditional put", "fail", text, _CONDITIONS)]


def _checksums(access: S3Access, bucket: str, prefix: str, what: str, tried: _Tried) -> Check:
    """Why nothing can be stored: the newer checksums, if it works without them."""
    name = f"{what}: checksums"
    said = tried.error or "what it returns is not what it was sent"
    if access.checksums != "when_required":
        plain = _try(dataclasses.replace(access, checksums="when_required"), bucket, prefix)
        if plain.works:
            return Check(name, "fail", f"it fails on newer checksums ({said})", _CHECKSUMS)
    return Check(name, "fail", f"nothing can be stored there ({said})", _REACH)


def _try(access: S3Access, bucket: str, prefix: str) -> _Tried:
    from botocore.exceptions import BotoCoreError, ClientError

    client, error = access.client(connect=3, read=8, attempts=1), None
    key = str(PurePosixPath(prefix, "doctor", access.checksums or "default"))
    try:
        try:
            put(client, bucket, key, _WORD, IfNoneMatch="*")
        except ClientError as refusal:
            error = refusal.response["Error"]["Code"]
        return _Tried(error, _read(client, bucket, key) == _WORD)
    except ClientError:
        return _Tried(error or "no object after it was stored", False)
    except BotoCoreError as refusal:
        return _Tried(type(refusal).__name__, False)


def _read(client: Any, bucket: str, key: str) -> bytes:
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()
