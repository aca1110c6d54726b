"""DVC's objects by their MD5, in a folder (cache or remote) or in S3 (remote), with all copies that a store has of one.

DVC 3 keeps an object as `files/md5/<first two digits>/<the rest>`; the name of a folder's list ends in `.dir`.
"""

import contextlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tmu.errors import StorageError
from tmu.files import scratch_folder, storage_errors
from tmu.stores.s3_access import S3Access, bucket_and_prefix
from tmu.stores.s3_versions import Lock, S3Versions, Version

_FOLDER = "files/md5"
_NAME = re.compile(rf"{_FOLDER}/([0-9a-f]{{2}})/([0-9a-f]{{30}}(?:\.dir)?)$")
_UPLOAD = "unfinished upload "
LISTS = ".dir"
"""How the name of a folder's list ends."""


@dataclass(frozen=True)
class Copy:
    """One copy of an object. address: where, relative to the store or as `s3://…`; version: its id in S3, or that of an
    unfinished upload.
    """

    address: str
    version: str = ""
    lock: Lock = field(default_factory=Lock)


def object_of(address: str) -> str:
    """The object whose copy has an address. Raises StorageError for what is no address of an object."""
    found = _NAME.search(address)
    if not found:
        raise StorageError("That is no address of an object of DVC.", "Make the purge's plan again.")
    return "".join(found.groups())


class Objects(ABC):
    """A store of objects. own: nobody else keeps objects in it. All methods raise StorageError."""

    name: str
    own: bool = False

    @abstractmethod
    def copies(self, name: str) -> list[Copy]:
        """All copies of an object, old versions and delete markers as well; empty where there is none."""

    @abstractmethod
    def opened(self, name: str) -> contextlib.AbstractContextManager[Path | None]:
        """A file with the object's bytes, to be read within the block; None where there is none."""

    @abstractmethod
    def lists(self) -> Iterator[str]:
        """The names of all lists of folders that a user of the store finds there, whoever put them there."""

    @abstractmethod
    def destroy(self, name: str, version: str) -> None:
        """Destroy one copy; nothing where it is gone."""

    def file(self, name: str) -> os.stat_result | None:
        """The file system's facts about an object; None where there is none, or no file system."""
        return None

    def current(self, name: str) -> bytes | None:
        """The bytes of an object that `lists` names; None where it went since."""
        return self.read(name)

    def read(self, name: str) -> bytes | None:
        """An object's bytes; None where there is none."""
        with self.opened(name) as path:
            return None if path is None else path.read_bytes()


class FolderObjects(Objects):
    """Objects below a folder."""

    def __init__(self, name: str, folder: Path, *, own: bool = False) -> None:
        self.name, self.folder, self.own = name, folder, own

    def copies(self, name: str) -> list[Copy]:
        return [Copy(_address(name))] if self.path(name).is_file() else []

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Path | None]:
        path = self.path(name)
        yield path if path.is_file() else None

    def lists(self) -> Iterator[str]:
        for path in sorted((self.folder / _FOLDER).glob(f"??/*{LISTS}")):
            if _NAME.search(path.as_posix()):
                yield f"{path.parent.name}{path.name}"

    def unfinished(self) -> list[Path]:
        """What killed DVC commands were copying into the store."""
        return sorted((self.folder / _FOLDER).glob("**/.*.tmp"))

    def destroy(self, name: str, version: str) -> None:
        path = self.path(name)
        with storage_errors(path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync(path.parent)

    def file(self, name: str) -> os.stat_result | None:
        try:
            return self.path(name).stat()
        except FileNotFoundError:
            return None

    def path(self, name: str) -> Path:
        """Where an object lies."""
        return self.folder / _address(name)


class S3Objects(Objects):
    """Objects below `s3://bucket/prefix`. scratch: a folder for what is read, swept by `tidy` after a kill."""

    def __init__(self, name: str, url: str, access: S3Access, scratch: Path) -> None:
        self.name, self._scratch = name, scratch
        bucket, prefix = bucket_and_prefix(url)
        self._start = f"{prefix}/" if prefix else ""
        self.versions = S3Versions(bucket, access)

    def copies(self, name: str) -> list[Copy]:
        found = self.versions.of(self._key(name))
        where = f"s3://{self.versions.bucket}/{self._key(name)}"
        copies = [Copy(where, each.id, self.versions.lock(each)) for each in found]
        return copies + [Copy(where, f"{_UPLOAD}{each}") for each in self.versions.uploads(self._key(name))]

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Path | None]:
        content = self.read(name)
        if content is None:
            yield None
            return
        with scratch_folder(self._scratch) as folder:
            path = folder / "object"
            path.write_bytes(content)
            yield path

    def read(self, name: str) -> bytes | None:
        """The bytes of any version: all have those that the name says, also one behind a delete marker."""
        for version in self.versions.of(self._key(name)):
            content = None if version.marker else self.versions.read(version)
            if content is not None:
                return content
        return None

    def lists(self) -> Iterator[str]:
        for key in self.versions.keys(f"{self._start}{_FOLDER}/"):
            found = _NAME.search(key) if key.endswith(LISTS) else None
            if found:
                yield "".join(found.groups())

    def current(self, name: str) -> bytes | None:
        return self.versions.latest(self._key(name))

    def destroy(self, name: str, version: str) -> None:
        if version.startswith(_UPLOAD):
            self.versions.abort(self._key(name), version.removeprefix(_UPLOAD))
        else:
            self.versions.destroy([Version(self._key(name), version)])

    def _key(self, name: str) -> str:
        return f"{self._start}{_address(name)}"


def _address(name: str) -> str:
    return f"{_FOLDER}/{name[:2]}/{name[2:]}"


def _sync(folder: Path) -> None:
    """Let a removal survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
