"""Artifacts by kind and cache key: finished folders, each with a manifest, kept in a local folder or in S3."""

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tmu import manifest
from tmu.errors import StorageError
from tmu.files import new_folder, refuse_unwritable
from tmu.stores.lock import locked

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Artifacts(ABC):
    """A store of artifact folders. `workspace` is what `file:PATH` addresses are relative to."""

    def __init__(self, workspace: Path):
        self.workspace = workspace

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

    def fetch(self, uri: str, digest: str) -> Path:
        """The verified local folder of a reference (`kind/key` or `file:PATH`); `StorageError` if absent or other."""
        folder = self._locate(uri)
        if manifest.digest(folder) != digest:
            raise StorageError(f"The artifact {uri} is not the one referred to.", "Run the step that makes it again.")
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
            raise StorageError(f"There is no sound artifact {uri}.", "Run the step that makes it again.")
        return found


class LocalArtifacts(Artifacts):
    """Artifacts as `root/kind/key/`."""

    def __init__(self, root: Path, workspace: Path = Path()):
        super().__init__(workspace)
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

    def refuse_unwritable(self) -> None:
        refuse_unwritable(self.root)

    @contextlib.contextmanager
    def create(
        self, kind: str, key: str, identity: dict[str, Any], run: dict[str, Any] | None = None
    ) -> Iterator[Path]:
        folder = self.folder(kind, key)
        with contextlib.ExitStack() as until_moved, contextlib.suppress(_Present), new_folder(folder) as building:
            yield building
            manifest.seal(building, kind, identity, run)
            # held from this look until the move: without it a second writer could replace what the first one named
            until_moved.enter_context(locked(folder.parent / ".lock"))
            if self.find(kind, key):
                raise _Present


class _Present(Exception):
    """Leaves `new_folder` without moving anything: a valid artifact is there already."""
