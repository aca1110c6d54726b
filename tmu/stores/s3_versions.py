"""All versions of objects in S3: found, read and destroyed by version id, with what locks them.

A delete without a version id destroys nothing in a versioned bucket: it puts a marker before the old versions, which
stay readable by their ids. Here a marker is a version like the others. A bucket without versions has one version an
object, `null`. Object Lock (retention, legal hold) is read and never bypassed.
"""

import base64
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from tmu.errors import StorageError
from tmu.stores.s3_access import S3Access, refusals

_WAIT = {"connect": 5.0, "read": 20.0, "attempts": 3}
_BATCH = 1000  # the most that one request deletes
_GONE = ("NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed")  # the last: what is read is a delete marker
_NO_LOCK = ("ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed")


@dataclass(frozen=True)
class Version:
    """One version of an object. marker: it is a delete marker; latest: what a read without an id finds; size: bytes."""

    key: str
    id: str
    marker: bool = False
    latest: bool = True
    size: int = 0


@dataclass(frozen=True)
class Lock:
    """What keeps a version. mode: of its retention, empty without one; until: when that ends; hold: a legal hold."""

    mode: Literal["", "governance", "compliance"] = ""
    until: datetime | None = None
    hold: bool = False

    def closed(self, at: datetime | None = None) -> bool:
        """Whether it keeps the version at a time, or now."""
        return self.hold or (self.until is not None and self.until > (at or datetime.now(UTC)))

    def __str__(self) -> str:
        retention = f"Object Lock ({self.mode}) until {self.until:%Y-%m-%d}" if self.until else ""
        return " and ".join(filter(None, ("a legal hold" if self.hold else "", retention))) or "no lock"


class S3Versions:
    """The versions in one bucket. All methods raise StorageError where the store refuses or does not answer.

    One request is waited for at most some 20 s, three times.
    """

    def __init__(self, bucket: str, access: S3Access) -> None:
        self.bucket, self.name = bucket, f"The bucket s3://{bucket}"
        self._access = access

    def under(self, prefix: str) -> Iterator[Version]:
        """All versions and delete markers of all keys that begin with `prefix`."""
        for page in self._pages(prefix):
            yield from _versions(page)

    def of(self, key: str) -> list[Version]:
        """All versions and delete markers of exactly one key; one request where nothing else begins with it."""
        found = []
        for page in self._pages(key):  # ascending by key: the exact one comes first
            versions = _versions(page)
            found += [each for each in versions if each.key == key]
            if any(each.key != key for each in versions):
                break
        return found

    def uploads(self, key: str) -> list[str]:
        """The ids of unfinished uploads of a key: they hold parts of its bytes, and no list of versions shows them."""
        with refusals(self.name):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=key)
            found = [each for page in pages for each in page.get("Uploads", ())]
        return [each["UploadId"] for each in found if each["Key"] == key]

    def abort(self, key: str, upload: str) -> None:
        """Destroy the parts of an unfinished upload; nothing where it is gone."""
        with refusals(self.name) as ignored:
            ignored.extend(("NoSuchUpload", *_GONE))
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix that a read without version ids finds; one request for every thousand."""
        with refusals(self.name):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            yield from (each["Key"] for page in pages for each in page.get("Contents", ()))

    def read(self, version: Version) -> bytes | None:
        """The bytes of a version; None of a delete marker and of what is gone."""
        return self._read(Key=version.key, VersionId=version.id)

    def latest(self, key: str) -> bytes | None:
        """What a read without a version id finds; None of nothing."""
        return self._read(Key=key)

    def _read(self, **where: str) -> bytes | None:
        with refusals(self.name) as ignored:
            ignored.extend(_GONE)
            return bytes(self.client.get_object(Bucket=self.bucket, **where)["Body"].read())
        return None

    def lock(self, version: Version) -> Lock:
        """What keeps a version; nothing keeps a delete marker. One request where the bucket can lock, else none.

        The key needs s3:GetObjectRetention and s3:GetObjectLegalHold. S3 says nothing of a lock that the key may not
        see, and refuses the delete later.
        """
        if version.marker or not self._locks:
            return Lock()
        said: dict[str, Any] = {}
        with refusals(self.name) as ignored:
            ignored.extend(_GONE)
            said = self.client.head_object(Bucket=self.bucket, Key=version.key, VersionId=version.id)
        until, mode = said.get("ObjectLockRetainUntilDate"), said.get("ObjectLockMode", "").lower()
        return Lock(mode if until else "", until, said.get("ObjectLockLegalHoldStatus") == "ON")

    def destroy(self, versions: Iterable[Version]) -> int:
        """Delete versions and delete markers by their ids, and return how many; what is gone already is no error.

        Raises StorageError also where the store refuses single ones, such as those that are locked; others are gone
        then.
        """
        done = 0
        waiting = iter(versions)
        while batch := list(itertools.islice(waiting, _BATCH)):
            named = [{"Key": each.key, "VersionId": each.id} for each in batch]
            with refusals(self.name):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": named, "Quiet": True})
            refused = [each["Code"] for each in answer.get("Errors", ()) if each["Code"] not in _GONE]
            if refused:
                raise StorageError(
                    f"{self.name} refused to delete {len(refused)} of {len(batch)} versions ({refused[0]}).",
                    "Give the key the right s3:DeleteObjectVersion, wait until a lock ends, or try again.",
                )
            done += len(batch)
        return done

    @cached_property
    def client(self) -> Any:
        """boto3's client."""
        made = self._access.client(**_WAIT)  # type: ignore[arg-type]
        if self._access.checksums == "when_required":
            made.meta.events.register("before-call.s3.DeleteObjects", _with_md5)
        return made

    @cached_property
    def _locks(self) -> bool:
        answer: dict[str, Any] = {}
        with refusals(self.name) as ignored:
            ignored.extend(_NO_LOCK)
            answer = self.client.get_object_lock_configuration(Bucket=self.bucket)
        return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        with refusals(self.name):
            pages = self.client.get_paginator("list_object_versions")
            yield from pages.paginate(Bucket=self.bucket, Prefix=prefix)


def _versions(page: dict[str, Any]) -> list[Version]:
    found = [
        Version(each["Key"], each["VersionId"], latest=each["IsLatest"], size=each["Size"])
        for each in page.get("Versions", ())
    ]
    markers = page.get("DeleteMarkers", ())
    return found + [Version(each["Key"], each["VersionId"], True, each["IsLatest"]) for each in markers]


def _with_md5(params: dict[str, Any], **_: Any) -> None:
    """S3 asks for a digest of what is to be deleted; older stores know MD5 alone."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
    params["context"].pop("checksum", None)
