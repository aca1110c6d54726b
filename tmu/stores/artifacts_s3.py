"""Artifacts in S3 with a local cache.

Objects: `prefix/kind/key/<digest>/<file>` for the files and `prefix/kind/key/manifest.json`, written last, which
decides: an upload that was cut short is never found, and two writers never mix their files.
"""

import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from tmu import manifest
from tmu.errors import StorageError
from tmu.files import new_folder, write_atomic
from tmu.stores.artifacts import Artifacts, Held, LocalArtifacts
from tmu.stores.lock import locked
from tmu.stores.owner import MARK
from tmu.stores.s3_access import S3Access, put, refusals
from tmu.stores.s3_manifests import Manifests
from tmu.stores.s3_versions import S3Versions
from tmu.stores.side_by_side import side_by_side
from tmu.stores.source import S3Source, Source

_ABSENT = ("NoSuchKey", "404")
_LOST_RACE = ("PreconditionFailed", "ConditionalRequestConflict")


class S3Artifacts(Artifacts):
    """Artifacts under `s3://bucket/prefix`; `cache` is a local folder that may be deleted at any time.

    Raises `StorageError` if the service refuses.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        access: S3Access | None,
        cache: Path,
        workspace: Path = Path(),
        *,
        owned: bool = False,
    ) -> None:
        super().__init__(workspace, owned=owned)
        self.bucket, self.prefix, self.access = bucket, prefix, access or S3Access()
        self.cache = LocalArtifacts(cache, workspace)

    def find(self, kind: str, key: str) -> Path | None:
        folder = self.cache.folder(kind, key)
        wanted = self._get(f"{kind}/{key}/{manifest.MANIFEST}")
        if wanted is None:
            return None  # a cached copy alone does not count: nobody else would see it
        with locked(folder.parent / ".lock"):  # of two processes that lack it, one downloads
            if self.cache.find(kind, key) and (folder / manifest.MANIFEST).read_bytes() == wanted:
                return folder
            return self._download(kind, key, wanted)

    def held(self, kind: str) -> list[Path]:
        return self.cache.held(kind)

    @contextlib.contextmanager
    def create(
        self, kind: str, key: str, identity: dict[str, Any], run: dict[str, Any] | None = None
    ) -> Iterator[Path]:
        self.refuse_foreign()
        with self.cache.create(kind, key, identity, run) as building:
            yield building
        self.claim()
        self._publish(kind, key, self.cache.folder(kind, key))

    def manifests(self, kind: str) -> list[Held]:
        found, start = [], self.key(kind) + "/"
        with self._refusals():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
            listed = [each for page in pages for each in page.get("Contents", ())]
        for key, raw in self._manifests.among(listed, start).items():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(raw)
                content = {"kind": said["kind"], "identity": dict(said["identity"]), "files": dict(said["files"])}
                found.append(Held(f"{kind}/{key}", hashlib.sha256(raw).hexdigest(), content))
        return found

    @contextlib.contextmanager
    def derive(
        self, source: Held, key: str, identity: dict[str, Any], run: dict[str, Any] | None = None
    ) -> Iterator[Path]:
        kind = source.manifest["kind"]
        self.refuse_foreign()
        with self.cache.derive(source, key, identity, run) as building:
            yield building
        self.claim()
        folder = self.cache.folder(kind, key)
        ours = (folder / manifest.MANIFEST).read_bytes()
        content = hashlib.sha256(ours).hexdigest()
        before, local = source.manifest["files"], source.uri.startswith("file:")

        def store(name: str, digest: str) -> None:
            if before.get(name) == digest and not local:
                self._copy(f"{source.uri}/{source.digest}/{name}", f"{kind}/{key}/{content}/{name}")
            else:
                self._put(f"{kind}/{key}/{content}/{name}", (folder / name).read_bytes())

        side_by_side(lambda each: store(*each), manifest.read(folder)["files"].items())
        if (folder / manifest.RUN).exists():
            self._put(f"{kind}/{key}/{content}/{manifest.RUN}", (folder / manifest.RUN).read_bytes())
        self._put(f"{kind}/{key}/{manifest.MANIFEST}", ours)

    def remove(self, uri: str) -> None:
        kind, _, key = uri.partition("/")
        self.cache.folder(kind, key)  # refuses what is no address
        self.refuse_foreign(uri)
        # what decides goes first: from then on nobody finds it
        self.versions.destroy(self.versions.of(self.key(f"{uri}/{manifest.MANIFEST}")))
        self.versions.destroy(self.versions.under(self.key(uri) + "/"))
        self.cache.remove(uri)

    def source(self, uri: str, digest: str) -> Source:
        """The objects themselves: they need not pass through the cache."""
        wanted = self._get(f"{uri}/{manifest.MANIFEST}")
        if wanted is None or hashlib.sha256(wanted).hexdigest() != digest:
            return super().source(uri, digest)  # says why not
        return _Objects(self.access, self.bucket, self.key(uri), digest)

    def _part(self, kind: str, key: str, digest: str, names: Collection[str]) -> Path:
        """Only what the cache lacks is downloaded; a later look at the whole artifact completes or replaces it."""
        folder = self.cache.folder(kind, key)
        wanted = self._get(f"{kind}/{key}/{manifest.MANIFEST}")
        if wanted is None:
            raise StorageError(f"There is no artifact {kind}/{key}.", "Run the step that makes it again.")
        with locked(folder.parent / ".lock"):
            if not (folder / manifest.MANIFEST).exists() or (folder / manifest.MANIFEST).read_bytes() != wanted:
                with new_folder(folder) as building:
                    write_atomic(building / manifest.MANIFEST, wanted)
            for name in [*names, manifest.RUN]:
                self._complete(folder, f"{kind}/{key}/{hashlib.sha256(wanted).hexdigest()}", name)
        return folder

    def _complete(self, folder: Path, address: str, name: str) -> None:
        with contextlib.suppress(StorageError):
            if name == manifest.RUN and (folder / name).exists():
                return
            manifest.check_files(folder, [name])
            return
        data = self._get(f"{address}/{name}")
        if data is not None:
            write_atomic(folder / name, data)

    def _copy(self, source: str, target: str) -> None:
        """Let the service copy an object; its bytes do not travel."""
        with self._refusals():
            where = {"Bucket": self.bucket, "Key": self.key(source)}
            self._client.copy_object(Bucket=self.bucket, Key=self.key(target), CopySource=where)

    def refuse_unwritable(self) -> None:
        name = f"probe-{secrets.token_hex(4)}"
        self.refuse_foreign()
        self._put(name, b"")
        self.versions.destroy(self.versions.of(self.key(name)))

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def _mark(self, name: str) -> bytes | None:
        return self._get(name)

    def _put_mark(self, content: bytes, found: bytes | None = None) -> None:
        if self._mark(MARK) == found:
            self._put(MARK, content, only_if_absent=found is None)

    def _publish(self, kind: str, key: str, folder: Path) -> None:
        """Upload a finished folder, unless another writer's sound artifact is there: the cache then takes that one."""
        decider, ours = f"{kind}/{key}/{manifest.MANIFEST}", (folder / manifest.MANIFEST).read_bytes()
        theirs = self._get(decider)
        if theirs not in (None, ours) and self.find(kind, key):
            return
        content = hashlib.sha256(ours).hexdigest()
        names = [name for name in (*manifest.read(folder)["files"], manifest.RUN) if (folder / name).exists()]
        side_by_side(lambda name: self._put(f"{kind}/{key}/{content}/{name}", (folder / name).read_bytes()), names)
        self._put(decider, ours, only_if_absent=theirs is None)
        self.find(kind, key)

    def _download(self, kind: str, key: str, wanted: bytes) -> Path | None:
        content = hashlib.sha256(wanted).hexdigest()
        with contextlib.suppress(_Unsound), new_folder(self.cache.folder(kind, key)) as building:
            write_atomic(building / manifest.MANIFEST, wanted)
            names = [*_listed(building), manifest.RUN]
            contents = side_by_side(lambda name: self._get(f"{kind}/{key}/{content}/{name}"), names)
            for name, data in zip(names, contents, strict=True):
                if data is not None:
                    write_atomic(building / name, data)
            _sound(manifest.check, building, kind)
            return building.parent / key  # where the folder moves as this block ends
        return None

    def _get(self, name: str) -> bytes | None:
        found = self._tagged(self.key(name))
        return found and found[1]

    def _tagged(self, key: str) -> tuple[str, bytes] | None:
        """The entity tag and the bytes of an object; None where it is gone."""
        with self._refusals() as ignored:
            ignored.extend(_ABSENT)
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            return answer.get("ETag", ""), answer["Body"].read()
        return None

    def _put(self, name: str, data: bytes, only_if_absent: bool = False) -> None:
        """Store an object; the service compares the checksum before it accepts the bytes."""
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        with self._refusals() as ignored:
            ignored.extend(_LOST_RACE if only_if_absent else ())
            put(self._client, self.bucket, self.key(name), data, **condition)

    def key(self, name: str) -> str:
        """The key of an object by its name below the prefix."""
        return str(PurePosixPath(self.prefix, name))

    def address(self, key: str) -> str:
        """The artifact's address `kind/key` to which an object belongs."""
        return "/".join(PurePosixPath(key).relative_to(self.prefix or ".").parts[:2])

    def stored_at(self, key: str) -> datetime:
        """When an object was stored last; the beginning of time where it is gone."""
        with self._refusals() as ignored:
            ignored.extend(_ABSENT)
            found: datetime = self._client.head_object(Bucket=self.bucket, Key=key)["LastModified"]
            return found
        return datetime.min.replace(tzinfo=UTC)

    @cached_property
    def versions(self) -> S3Versions:
        """All versions of the bucket's objects, for what has to go for good."""
        return S3Versions(self.bucket, self.access)

    @cached_property
    def _manifests(self) -> Manifests:
        return Manifests(self._tagged)

    @cached_property
    def _client(self) -> Any:
        return self.access.client()

    def _refusals(self) -> contextlib.AbstractContextManager[list[str]]:
        return refusals(f"The artifact store s3://{self.bucket}")


class _Objects(S3Source):
    """The manifest lies beside the folder of its content."""

    def __init__(self, access: S3Access, bucket: str, prefix: str, content: str) -> None:
        super().__init__(access, bucket, prefix)
        self._content = content

    def _key(self, name: str) -> str:
        return super()._key(name if name == manifest.MANIFEST else f"{self._content}/{name}")


def _listed(folder: Path) -> list[str]:
    """The file names of a manifest from afar; one that would leave the folder makes it unsound."""
    files = list(_sound(manifest.read, folder)["files"])
    if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
        raise _Unsound
    return files


def _sound(look: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    try:
        return look(*arguments)
    except StorageError as error:
        raise _Unsound from error


class _Unsound(Exception):
    """What lies in the bucket does not match its manifest; nothing of it may enter the cache."""
