"""Artifacts by kind and cache key: finished folders, each with a manifest, kept in a local folder or in S3."""

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmu import manifest
from tmu.errors import StorageError
from tmu.files import discard, link_or_copy, new_folder, refuse_unwritable, write_atomic
from tmu.stores.lock import locked
from tmu.stores.owner import MARK, home_of, owner_of, refuse_another
from tmu.stores.purged import PurgedArtifacts, PurgedError
from tmu.stores.source import FolderSource, Source

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_AGAIN = "Run the step that makes it again."


@dataclass(frozen=True)
class Held:
    """An artifact of the store by its manifest: address `kind/key` (or `file:PATH`), digest, what the manifest says."""

    uri: str
    digest: str
    manifest: dict[str, Any]


class Artifacts(ABC):
    """A store of artifact folders. `workspace` is what `file:PATH` addresses are relative to.

    owned: it bears the mark of its workspace (`tmu/stores/owner.py`), and one that bears another's takes nothing.
    """

    def __init__(self, workspace: Path, *, owned: bool = False) -> None:
        self.workspace, self.purged, self.owned = workspace, PurgedArtifacts(workspace), owned
        self._claimed, self._ours = False, set[str]()

    def claim(self) -> None:
        """Put the workspace's mark at the top where there is none, or its own from where it was before it moved.

        Raises StorageError where it is another's.
        """
        if not self.owned or self._claimed:
            return
        self._ours.discard(MARK)  # a purge may have found nobody's there, and another one's is there by now
        self.refuse_foreign()
        found, mine = self._mark(MARK), owner_of(self.workspace).as_bytes()
        if found != mine:
            self._put_mark(mine, found)
            self._ours.discard(MARK)
            self.refuse_foreign()  # of two that came at once, one was first
        self._claimed = True

    def refuse_foreign(self, uri: str = "") -> None:
        """Raise StorageError, naming it, where the store belongs to another workspace; or what lies below it on the way
        to an artifact (`kind/key`): another's prefix may begin there. Each place is looked at once.
        """
        parts = uri.split("/") if uri else []
        for name in ("/".join([*parts[:count], MARK]) for count in range(len(parts) + 1)):
            if not self.owned or name in self._ours:
                continue
            raw = self._mark(name)
            if raw is not None:
                refuse_another(home_of(self.workspace), raw, f"{self.where}/{name}", inside=self._inside)
            if raw is not None or parts:  # where nobody's is, a claim looks again after it put its own
                self._ours.add(name)

    @property
    @abstractmethod
    def where(self) -> str:
        """The store's address, as messages call it."""

    @abstractmethod
    def _mark(self, name: str) -> bytes | None:
        """The content of a mark by its name below the top; None where there is none."""

    @abstractmethod
    def _put_mark(self, content: bytes, found: bytes | None = None) -> None:
        """Write the mark at the top in place of the one that was found, unless another one is there by then."""

    @property
    def _inside(self) -> bool:
        """Whether the store lies in the workspace's folder, and moves and is copied with it."""
        return False

    @abstractmethod
    def find(self, kind: str, key: str) -> Path | None:
        """The local folder of a complete artifact whose every file matches its digest, else None."""

    @abstractmethod
    def create(
        self, kind: str, key: str, identity: dict[str, Any], run: dict[str, Any] | None = None
    ) -> contextlib.AbstractContextManager[Path]:
        """Yield a folder to build in; on a clean exit it is sealed and appears whole under `kind/key`.

        `run` is written to `run.json` at the exit, so it may still be filled while building. If a valid artifact is
        there by then (another writer was faster), that one stays and this one is dropped.
        """

    @abstractmethod
    def held(self, kind: str) -> list[Path]:
        """The folders of a kind on this machine, unchecked: for looking at what earlier runs took."""

    @abstractmethod
    def refuse_unwritable(self) -> None:
        """Write and remove a few bytes; raises `StorageError` where the store takes none."""

    @abstractmethod
    def manifests(self, kind: str) -> "list[Held]":
        """The manifests of all artifacts of a kind in the store, by address; none of their files is looked at."""

    @abstractmethod
    def derive(
        self, source: "Held", key: str, identity: dict[str, Any], run: dict[str, Any] | None = None
    ) -> contextlib.AbstractContextManager[Path]:
        """Yield a folder for the files in which `kind/key` is to differ from `source`, an artifact of the same kind.

        On a clean exit all other files are the source's, by link, with the digests of its manifest: none is read. An
        artifact that is there by then stays if its manifest is the same and the files that differ are sound.
        """

    @abstractmethod
    def remove(self, uri: str) -> None:
        """Remove an artifact `kind/key`, at once unfindable, with all its versions; nothing where there is none."""

    def source(self, uri: str, digest: str) -> Source:
        """The files of an artifact, to be fetched in pieces. Raises StorageError where it is gone or another."""
        return FolderSource(self.fetch(uri, digest))

    @abstractmethod
    def _part(self, kind: str, key: str, digest: str, names: Collection[str]) -> Path:
        """The local folder of `kind/key` if its manifest has this digest, with these files of it; nothing checked."""

    def fetch(self, uri: str, digest: str, only: Collection[str] | None = None) -> Path:
        """The verified local folder of a reference (`kind/key` or `file:PATH`); `StorageError` if absent or other.

        only: the files of it that are wanted (and `run.json`, where there is one): no other is looked at or fetched.
        One that a purge destroyed raises `PurgedError`.
        """
        try:
            return self._fetch_whole(uri, digest) if only is None else self._fetch_part(uri, digest, only)
        except StorageError as error:
            purged = self.purged.find(uri, digest)
            if purged is None:
                raise
            raise PurgedError(purged) from error

    def _fetch_whole(self, uri: str, digest: str) -> Path:
        folder = self._locate(uri)
        if manifest.digest(folder) != digest:
            raise StorageError(f"The artifact {uri} is not the one referred to.", _AGAIN)
        return folder

    def _fetch_part(self, uri: str, digest: str, only: Collection[str]) -> Path:
        if uri.startswith("file:"):
            folder = self.workspace / uri.removeprefix("file:")
        else:
            kind, _, key = uri.partition("/")
            folder = self._part(kind, key, digest, only)
        manifest.check_files(folder, only)
        if manifest.digest(folder) != digest:
            raise StorageError(f"The artifact {uri} is not the one referred to.", _AGAIN)
        return folder

    @staticmethod
    def digest(folder: Path) -> str:
        """SHA-256 (hex) of the folder's `manifest.json`: the artifact's digest."""
        return manifest.digest(folder)

    def _locate(self, uri: str) -> Path:
        if uri.startswith("file:"):
            folder = self.workspace / uri.removeprefix("file:")
            manifest.check(folder)
            return folder
        kind, _, key = uri.partition("/")
        found = self.find(kind, key)
        if found is None:
            raise StorageError(f"There is no sound artifact {uri}.", _AGAIN)
        return found


class LocalArtifacts(Artifacts):
    """Artifacts as `root/kind/key/`."""

    def __init__(self, root: Path, workspace: Path = Path(), *, owned: bool = False) -> None:
        super().__init__(workspace, owned=owned)
        self.root = root

    def folder(self, kind: str, key: str) -> Path:
        """Where an artifact lies or would lie."""
        for name in (kind, key):
            if not _NAME.fullmatch(name):
                raise StorageError(
                    f"`{kind}/{key}` is not an artifact's address.", "Use kind/key with letters and digits."
                )
        return self.root / kind / key

    def find(self, kind: str, key: str) -> Path | None:
        folder = self.folder(kind, key)
        with contextlib.suppress(StorageError):
            manifest.check(folder, kind)
            return folder
        return None

    def held(self, kind: str) -> list[Path]:
        return sorted(path.parent for path in (self.root / kind).glob(f"*/{manifest.MANIFEST}"))

    @property
    def where(self) -> str:
        return str(self.root)

    def _mark(self, name: str) -> bytes | None:
        path = self.root / name
        return path.read_bytes() if path.is_file() else None

    def _put_mark(self, content: bytes, found: bytes | None = None) -> None:
        with locked(self.root / ".lock"):
            if self._mark(MARK) == found:
                write_atomic(self.root / MARK, content)

    @property
    def _inside(self) -> bool:
        return self.root.resolve().is_relative_to(self.workspace.resolve())

    def refuse_unwritable(self) -> None:
        refuse_unwritable(self.root)
        self.refuse_foreign()

    @contextlib.contextmanager
    def create(
        self, kind: str, key: str, identity: dict[str, Any], run: dict[str, Any] | None = None
    ) -> Iterator[Path]:
        folder = self.folder(kind, key)
        self.refuse_foreign()
        with contextlib.ExitStack() as until_moved, contextlib.suppress(_Present), new_folder(folder) as building:
            yield building
            self.claim()
            manifest.seal(building, kind, identity, run)
            # held from this look until the move: without it a second writer could replace what the first one named
            until_moved.enter_context(locked(folder.parent / ".lock"))
            if self.find(kind, key):
                raise _Present

    def manifests(self, kind: str) -> list[Held]:
        found = []
        for folder in self.held(kind):
            with contextlib.suppress(StorageError, FileNotFoundError):
                found.append(Held(f"{kind}/{folder.name}", manifest.digest(folder), manifest.read(folder)))
        return found

    @contextlib.contextmanager
    def derive(
        self, source: Held, key: str, identity: dict[str, Any], run: dict[str, Any] | None = None
    ) -> Iterator[Path]:
        kind, files = source.manifest["kind"], source.manifest["files"]
        folder, origin = self.folder(kind, key), self._origin(source)
        self.refuse_foreign()
        with contextlib.ExitStack() as until_moved, contextlib.suppress(_Present), new_folder(folder) as building:
            yield building
            self.claim()
            same = {name: digest for name, digest in files.items() if not (building / name).exists()}
            for name in same:
                (building / name).parent.mkdir(parents=True, exist_ok=True)
                if (origin / name).is_file():  # a cache may hold a part of an artifact
                    link_or_copy(origin / name, building / name)
            manifest.seal(building, kind, identity, run, known=same)
            until_moved.enter_context(locked(folder.parent / ".lock"))
            if _has(folder, manifest.digest(building), set(manifest.read(building)["files"]) - set(same)):
                raise _Present

    def remove(self, uri: str) -> None:
        folder = self.folder(*uri.split("/", 1))
        self.refuse_foreign(uri)
        with locked(folder.parent / ".lock"):
            if folder.exists():
                discard(folder)

    def _part(self, kind: str, key: str, digest: str, names: Collection[str]) -> Path:
        return self.folder(kind, key)

    def _origin(self, source: Held) -> Path:
        if source.uri.startswith("file:"):
            return self.workspace / source.uri.removeprefix("file:")
        return self.folder(*source.uri.split("/", 1))


def _has(folder: Path, digest: str, names: Collection[str]) -> bool:
    """Whether the artifact of that digest is there, and these files of it are sound."""
    with contextlib.suppress(StorageError):
        manifest.check_files(folder, names)
        return manifest.digest(folder) == digest
    return False


class _Present(Exception):
    """Leaves `new_folder` without moving anything: a valid artifact is there already."""
