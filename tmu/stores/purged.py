"""Purge notes: that artifacts were there, what made them, and the request that they were destroyed for.

One file each, `.tmu/purged/<kind>/<key>.json`: the manifest (identity, digests of the files) and the run record
(seconds, hardware). Neither names a person. So a reference to a purged artifact is told from a damaged one, forecasts
still know what a training took, and the closure still knows what a destroyed model had learned.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tmu.config import Config
from tmu.errors import StorageError
from tmu.files import write_atomic

FOLDER = Path(".tmu", "purged")


class Purged(Config):
    """A purged artifact. uri: `kind/key`. content: digest of its manifest. request: the deletion. run: the record."""

    uri: str
    content: str
    request: str
    at: str
    manifest: dict[str, Any]
    run: dict[str, Any] = Field(default_factory=dict)


class PurgedError(StorageError):
    """An artifact was destroyed by a purge: nothing is damaged, and nothing can bring it back."""

    def __init__(self, purged: Purged) -> None:
        super().__init__(
            f"The artifact {purged.uri} was purged (request {purged.request}, {purged.at}).",
            "It held records that were erased; what needs it cannot be repeated.",
        )


class PurgedArtifacts:
    """The purge notes of one workspace. root: its folder."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def note(self, purged: Purged) -> None:
        """Write one down; the first one of an address stays."""
        path = self._path(purged.uri)
        if not path.exists():
            write_atomic(path, purged.model_dump_json(indent=2).encode())

    def find(self, uri: str, digest: str | None = None) -> Purged | None:
        """The one of an address (and of this digest, where one is named); None where it was not purged."""
        if uri.startswith("file:"):  # a stage's folder: `dvc repro` makes it again, and nothing is noted
            return None
        path = self._path(uri)
        found = _read(path) if path.is_file() else None
        return found if found is not None and digest in (None, found.content) else None

    def of(self, kind: str) -> Iterator[Purged]:
        """All of a kind, by address."""
        yield from map(_read, sorted((self._folder / kind).glob("*.json")))

    def _path(self, uri: str) -> Path:
        kind, _, key = uri.partition("/")
        return self._folder / kind / f"{key}.json"


def _read(path: Path) -> Purged:
    try:
        return Purged.model_validate_json(path.read_bytes())
    except (ValidationError, ValueError) as error:
        raise StorageError(
            f"The purge note {path.parent.name}/{path.name} is damaged.", "Restore it from a backup of the workspace."
        ) from error
