"""The copies of one artifact in a store: found by its address, destroyed one by one, the manifest first.

In a folder an artifact is one copy. In S3 it is every version and delete marker of every object below its address, and
what this machine fetched of it. What it was is noted before it goes (`tmu/stores/purged.py`).
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tmu import manifest
from tmu.errors import StorageError
from tmu.files import discard, read_json
from tmu.provenance import now
from tmu.stores.artifacts import LocalArtifacts
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.stores.purged import Purged
from tmu.stores.s3_versions import Lock, Version
from tmu.workspace import Workspace

_CACHE, _FREE = "cache:", Lock()


@dataclass(frozen=True)
class Copy:
    """address: `kind/key`, `cache:kind/key`, `file:PATH` or the key of an object. version: its id in S3.

    lock: what keeps it there.
    """

    address: str
    version: str = ""
    lock: Lock = _FREE


class Listed:
    """The versions of an artifact store in S3 as they are now, one listing a kind; elsewhere there are none."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.artifacts
        self._kinds: dict[str, dict[str, list[Version]]] = {}

    def of(self, uri: str) -> list[Version]:
        """Of one artifact (`kind/key`)."""
        return self.by_artifact(uri.partition("/")[0]).get(uri, [])

    def by_artifact(self, kind: str) -> dict[str, list[Version]]:
        """Of all artifacts of a kind, by address."""
        if kind not in self._kinds and isinstance(self._store, S3Artifacts):
            found = self._kinds[kind] = dict[str, list[Version]]()
            for version in self._store.versions.under(self._store.key(kind) + "/"):
                found.setdefault(self._store.address(version.key), []).append(version)
        return self._kinds.get(kind, {})


def copies(workspace: Workspace, uri: str, listed: Listed | None = None) -> Iterator[Copy]:
    """All that is left of an artifact, what decides whether it is found first. listed: None: it is listed by itself."""
    store = workspace.artifacts
    if uri.startswith("file:"):
        if _stage_folder(workspace, uri).exists():
            yield Copy(uri)
    elif isinstance(store, LocalArtifacts):
        if store.folder(*uri.split("/", 1)).exists():
            yield Copy(uri)
    elif isinstance(store, S3Artifacts):
        found = list(listed.of(uri) if listed else store.versions.under(store.key(uri) + "/"))
        found.sort(key=lambda each: (each.key != store.key(f"{uri}/{manifest.MANIFEST}"), each.key, each.id))
        yield from (Copy(each.key, each.id, store.versions.lock(each)) for each in found)
        if store.cache.folder(*uri.split("/", 1)).exists():
            yield Copy(_CACHE + uri)


def destroy(workspace: Workspace, copy: Copy, request: str) -> None:
    """Destroy one copy; what is gone already is no error. request: the deletion that it goes for.

    Raises StorageError where the store, or that part of it, bears the mark of another workspace.
    """
    store = workspace.artifacts
    if copy.address.startswith("file:"):
        folder = _stage_folder(workspace, copy.address)
        if folder.exists():
            discard(folder)
    elif copy.version and isinstance(store, S3Artifacts):
        uri = store.address(copy.address)
        store.refuse_foreign(uri)
        _note(workspace, uri, request)
        store.versions.destroy([Version(copy.address, copy.version)])
    else:
        uri = copy.address.removeprefix(_CACHE)
        store.refuse_foreign(uri)
        _note(workspace, uri, request)
        (store.cache if isinstance(store, S3Artifacts) else store).remove(uri)


def _note(workspace: Workspace, uri: str, request: str) -> None:
    """Leave a purge note, as long as the manifest is there to be read."""
    kind, purged = uri.partition("/")[0], workspace.artifacts.purged
    if purged.find(uri) is not None:
        return
    held = next((each for each in workspace.artifacts.manifests(kind) if each.uri == uri), None)
    if held is None:
        return  # nobody could refer to it: half a copy, or an older version
    run: dict = {}
    with suppress(StorageError, OSError, ValueError):
        run = dict(read_json(workspace.artifacts.fetch(uri, held.digest, []) / manifest.RUN))
    purged.note(Purged(uri=uri, content=held.digest, request=request, at=now(), manifest=held.manifest, run=run))


def _stage_folder(workspace: Workspace, uri: str) -> Path:
    """The folder of a `file:` address. Raises StorageError for one outside of `out/`: that is nobody's stage."""
    folder = (workspace.root / uri.removeprefix("file:")).resolve()
    if not folder.is_relative_to((workspace.root / "out").resolve()) or folder == (workspace.root / "out").resolve():
        raise StorageError(f"{uri} is no stage's folder below `out/`.", "Remove it by hand if it is to go.")
    return folder
