"""Where evidence bundles are kept: once written, never changed.

In S3 each object is put with `If-None-Match: *`, and locked until the retention ends where the bucket has Object Lock.
On this machine the files are read-only.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from tmu.errors import StorageError
from tmu.settings import Settings
from tmu.stores.s3_access import S3Access, bucket_and_prefix, put, refusals, s3_access
from tmu.stores.source import FolderSource, S3Source, Source

_THERE = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_NO_LOCK = ("ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed")
_READ_ONLY = 0o400


class EvidenceStore(Protocol):
    """A store of bundles. name: for messages."""

    name: str

    def keep(self, request: str, folder: Path, names: Iterable[str]) -> None:
        """Store files of a folder, the last one last. What is there with the same bytes stays.

        Raises StorageError where other bytes are there: nothing is overwritten.
        """
        ...

    def source(self, request: str) -> Source:
        """The files of a request's bundle."""
        ...


class LocalEvidence:
    """The folder itself: its files become read-only."""

    def __init__(self, root: Path) -> None:
        self._root, self.name = root, str(root)

    def keep(self, request: str, folder: Path, names: Iterable[str]) -> None:
        """Make the files read-only; they are in place already."""
        for name in names:
            (folder / name).chmod(_READ_ONLY)

    def source(self, request: str) -> Source:
        """The folder of a request."""
        return FolderSource(self._root / request)


class S3Evidence:
    """Objects `PREFIX/REQUEST/FILE`. days, mode: of the lock."""

    def __init__(self, url: str, access: S3Access, days: int, mode: str) -> None:
        self._bucket, self._prefix = bucket_and_prefix(url)
        self._access, self._days, self._mode, self.name = access, days, mode, f"The evidence store {url}"

    def keep(self, request: str, folder: Path, names: Iterable[str]) -> None:
        """Put each file once."""
        for name in names:
            self._put(str(PurePosixPath(self._prefix, request, name)), (folder / name).read_bytes())

    def source(self, request: str) -> Source:
        """The objects of a request."""
        return S3Source(self._access, self._bucket, str(PurePosixPath(self._prefix, request)))

    def _put(self, key: str, data: bytes) -> None:
        from botocore.exceptions import ClientError

        lock: dict[str, Any] = {}
        with refusals(self.name):
            if self._locks:
                until = datetime.now(UTC) + timedelta(days=self._days)
                lock = {"ObjectLockMode": self._mode.upper(), "ObjectLockRetainUntilDate": until}
            try:
                put(self._client, self._bucket, key, data, md5=bool(lock), IfNoneMatch="*", **lock)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _THERE:
                    raise
                self._refuse_other(key, data)

    def _refuse_other(self, key: str, data: bytes) -> None:
        there = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        if hashlib.sha256(there).digest() != hashlib.sha256(data).digest():
            raise StorageError(
                f"{self.name} holds other bytes under {key}; nothing was overwritten.",
                "Compare the two: evidence is written once. Name another prefix only if the old one is to stay.",
            )

    @cached_property
    def _client(self) -> Any:
        return self._access.client()

    @cached_property
    def _locks(self) -> bool:
        """Whether the bucket has Object Lock."""
        from botocore.exceptions import ClientError

        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NO_LOCK:
                return False
            raise
        return bool(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def evidence_store(root: Path, settings: Settings) -> EvidenceStore:
    """Where the settings put bundles. root: the folder in which they are made."""
    if settings.evidence is None:
        return LocalEvidence(root)
    return S3Evidence(settings.evidence, s3_access(settings), settings.evidence_days, settings.evidence_lock)
