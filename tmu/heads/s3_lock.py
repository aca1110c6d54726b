"""Heads as objects of a bucket with Object Lock: written once, and kept until the retention ends, whoever asks.

Objects `PREFIX/SEQ-HASH.json`. One prefix is for one ledger. What was noted is read from the versions: a delete marker,
which a lock does not prevent, hides nothing.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from tmu.check import Check
from tmu.files import canonical_json
from tmu.heads.noted import Noted
from tmu.heads.place import HeadPlace, head_name, head_of_name
from tmu.ledger.log import Head
from tmu.notify.target import ARRIVED, Answer, name_of
from tmu.stores.s3_access import S3Access, bucket_and_prefix, put, refusals
from tmu.stores.s3_probe import probe

_THERE = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_NO_LOCK = ("ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed")
_NOT_A_WORD = re.compile(r"[^A-Za-z0-9]+")
Mode = Literal["compliance", "governance"]


class S3Heads(HeadPlace):
    """A prefix in S3. days: how long each head is locked there. One attempt takes at most some 11 s."""

    def __init__(self, url: str, access: S3Access, days: int, mode: Mode = "compliance") -> None:
        self.bucket, self.prefix = bucket_and_prefix(url)
        self.id, self.name = name_of(url), f"S3 bucket {self.bucket}"
        self._access, self._days, self._mode = access, days, mode

    def note(self, head: Head, at: datetime) -> Answer:
        """Put one object, locked where the bucket can."""
        from botocore.exceptions import BotoCoreError, ClientError

        lock: dict[str, Any] = {}
        body = canonical_json({"seq": head.seq, "hash": head.hash, "at": at.isoformat()})
        try:
            if self._locks:
                until = at + timedelta(days=self._days)
                lock = {"ObjectLockMode": self._mode.upper(), "ObjectLockRetainUntilDate": until}
            put(self._client, self.bucket, self._key(head), body, md5=bool(lock), IfNoneMatch="*", **lock)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            return ARRIVED if code in _THERE else Answer(f"s3_{_NOT_A_WORD.sub('_', code)}"[:40], down=True)
        except BotoCoreError:
            return Answer("unreachable", down=True)
        return ARRIVED

    def held(self) -> Sequence[Noted]:
        """All heads, also those behind a delete marker."""
        found: dict[Head, datetime] = {}
        with refusals(self.name):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=self._folder)
            for version in (one for page in pages for one in page.get("Versions", ())):
                head = head_of_name(PurePosixPath(version["Key"]).stem)
                if head is not None:
                    found[head] = min(version["LastModified"], found.get(head, version["LastModified"]))
        ordered = sorted(found.items(), key=lambda item: item[0].seq)
        return [Noted(seq=head.seq, hash=head.hash, place=self.name, at=at) for head, at in ordered]

    def check(self) -> list[Check]:
        """Whether the store works as it must, and whether the bucket locks."""
        name = f"{self.name}: lock"
        found = probe(self._access, self.bucket, self.prefix, self.name)
        if any(each.state == "fail" for each in found):
            return found
        with refusals(self.name):
            locks = self._locks
        if locks:
            return [*found, Check(name, "ok", f"each head is locked for {self._days} days ({self._mode})")]
        text = "the bucket has no Object Lock: whoever has its key can delete and replace heads"
        return [*found, Check(name, "warn", text, "Make a bucket with Object Lock and name it in `heads_s3`.")]

    @cached_property
    def _client(self) -> Any:
        return self._access.client(connect=3, read=8, attempts=1)

    @cached_property
    def _locks(self) -> bool:
        """Whether the bucket has Object Lock. Raises boto's errors where that cannot be asked."""
        from botocore.exceptions import ClientError

        try:
            answer = self._client.get_object_lock_configuration(Bucket=self.bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NO_LOCK:
                return False
            raise
        return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"

    @property
    def _folder(self) -> str:
        return f"{self.prefix}/" if self.prefix else ""

    def _key(self, head: Head) -> str:
        return f"{self._folder}{head_name(head)}.json"
