"""`Source`: files that are fetched in pieces, from S3 or from a folder, beginning anywhere; or handed out as links."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from tmu.errors import RequestError, StorageError
from tmu.stores.s3_access import S3Access, refusals

PIECE = 1 << 20
_ABSENT = ("NoSuchKey", "404", "NoSuchBucket")
_FORBIDDEN = ("AccessDenied", "403", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch")


class Source(Protocol):
    """Files by name. name: of the store, for messages."""

    name: str

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none. Raises StorageError."""
        ...

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """Its bytes from `start` on, in pieces. Raises StorageError."""
        ...

    def link(self, name: str, seconds: int) -> str:
        """An address under which anybody may fetch it for so long. Raises RequestError where there is no such thing."""
        ...


class FolderSource:
    """The files of a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, str(folder)

    def size(self, name: str) -> int | None:
        """Bytes of a file."""
        path = self.folder / name
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """Its bytes from `start` on."""
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece

    def link(self, name: str, seconds: int) -> str:
        """There are no links to files of this machine."""
        raise RequestError(
            "The files lie on this machine: there are no links to them.", "Leave out --links, or set `evidence`."
        )


class S3Source:
    """The objects under a prefix."""

    def __init__(self, access: S3Access, bucket: str, prefix: str) -> None:
        self._access, self._bucket, self._prefix = access, bucket, prefix
        self.name = f"s3://{bucket}/{prefix}"

    def size(self, name: str) -> int | None:
        """Bytes of an object."""
        with self._answers() as ignored:
            ignored.extend(_ABSENT)
            return int(self._client.head_object(Bucket=self._bucket, Key=self._key(name))["ContentLength"])
        return None

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """Its bytes from `start` on, by a range request."""
        with self._answers():
            more = {"Range": f"bytes={start}-"} if start else {}
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(name), **more)["Body"]
            yield from body.iter_chunks(PIECE)

    def link(self, name: str, seconds: int) -> str:
        """A presigned address."""
        what = {"Bucket": self._bucket, "Key": self._key(name)}
        with self._answers():
            return str(self._client.generate_presigned_url("get_object", Params=what, ExpiresIn=seconds))

    def _key(self, name: str) -> str:
        return str(PurePosixPath(self._prefix, name))

    @cached_property
    def _client(self) -> Any:
        return self._access.client()

    def _answers(self) -> Any:
        return _Reading(self.name)


class _Reading:
    """`refusals`, with a word of its own for a key that may not read."""

    def __init__(self, name: str) -> None:
        self._name, self._inner = name, refusals(name)

    def __enter__(self) -> list[str]:
        return self._inner.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        if code in _FORBIDDEN:
            raise StorageError(
                f"You have no access to {self._name}.", "Use a key that may read it, or ask for links: `--links`."
            ) from error
        return self._inner.__exit__(kind, error, trace)
