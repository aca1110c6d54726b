"""How an S3 store is reached: where, with which key, how long it is waited for, and which checksums go along."""

import base64
import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tmu.errors import ConfigError, StorageError
from tmu.settings import Settings
from tmu.stores.s3_keys import S3Keys, s3_keys

Checksums = Literal["when_supported", "when_required"]
"""When botocore adds a checksum of its own. Stores older than 2025 may fail on the newer kind: `when_required`."""
_FIX = "Check the address, the bucket and the credentials (settings s3_…, AWS_*), then run the same command again."


@dataclass(frozen=True)
class S3Access:
    """endpoint_url: of a store that is not Amazon's. keys, checksums: None leaves them to AWS_* variables."""

    endpoint_url: str | None = None
    keys: S3Keys | None = None
    checksums: Checksums | None = None

    def client(self, *, connect: float = 10, read: float = 20, attempts: int = 5) -> Any:
        """A client of boto3. connect, read: seconds; attempts: in all."""
        import boto3
        from botocore.config import Config

        options: dict[str, Any] = {"connect_timeout": connect, "read_timeout": read}
        options |= {"retries": {"total_max_attempts": attempts, "mode": "standard"}}
        if self.checksums is not None:
            options |= {"request_checksum_calculation": self.checksums}
            options |= {"response_checksum_validation": self.checksums}
        credentials = self.keys.client_options() if self.keys else {}
        return boto3.client("s3", endpoint_url=self.endpoint_url, config=Config(**options), **credentials)

    def environment(self) -> dict[str, str]:
        """The same as AWS_* variables of a child process, but for the endpoint."""
        found = self.keys.environment() if self.keys else {}
        if self.checksums is not None:
            found["AWS_REQUEST_CHECKSUM_CALCULATION"] = found["AWS_RESPONSE_CHECKSUM_VALIDATION"] = self.checksums
        return found


def s3_access(settings: Settings) -> S3Access:
    """How the settings say that S3 is reached."""
    return S3Access(settings.s3_endpoint, s3_keys(settings), settings.s3_checksums)


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """The parts of `s3://bucket/prefix`. Raises ConfigError."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket:
        raise ConfigError(f"{url} is no address in S3.", "Write s3://bucket/prefix.")
    return bucket, prefix.strip("/")


def put(client: Any, bucket: str, key: str, data: bytes, *, md5: bool = False, **more: Any) -> None:
    """Store an object; the service compares a digest before it accepts the bytes.

    The digest is SHA-256; where checksums are sent `when_required` it is MD5, which every store knows. md5: send that
    one, too: some stores ask for it where an object is locked.
    """
    digest = {}
    if client.meta.config.request_checksum_calculation != "when_required":
        digest["ChecksumSHA256"] = _base64(hashlib.sha256(data).digest())
    if md5 or not digest:
        digest["ContentMD5"] = _base64(hashlib.md5(data, usedforsecurity=False).digest())
    client.put_object(Bucket=bucket, Key=key, Body=data, **digest, **more)


@contextlib.contextmanager
def refusals(store: str) -> Iterator[list[str]]:
    """Turn the service's errors into `StorageError`, except for the codes put into the yielded list.

    store: how the message names it, such as `The artifact store s3://bucket`.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    ignored: list[str] = []
    try:
        yield ignored
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in ignored:
            raise StorageError(f"{store} answered {code}.", _FIX) from error
    except BotoCoreError as error:
        raise StorageError(f"{store} does not answer.", _FIX) from error


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
