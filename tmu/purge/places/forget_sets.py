"""Forget sets in the artifact store: a folder, or S3 with all versions, and what this machine fetched of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tmu import manifest
from tmu.deletion.journal import Journal
from tmu.files import sweep, write_json
from tmu.provenance import now
from tmu.purge.artifact_store import copies
from tmu.purge.held import why_held
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.shredder import Shredder
from tmu.stores.artifacts import LocalArtifacts
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.suppression.shredded_set import LEFT
from tmu.workspace import Workspace

ORDER = 90
KIND, KEYS = "forget", "forget.json"
_OPEN = "another deletion, which is open, erases these records"
_HALF = "half-built folders"


def places(workspace: Workspace) -> list[Place]:
    """Those of the workspace's artifact store."""
    return [ForgetSets(workspace)]


class ForgetSets:
    """A forget set gives way to a count and a commitment under the same address; its versions and copies go."""

    name = "forget sets"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._store = workspace, workspace.artifacts
        self._local = self._store.cache if isinstance(self._store, S3Artifacts) else self._store

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Sets with keys of the scope, in any version; and folders that a kill left half built."""
        held, others = why_held(self._workspace, scope), self._others(scope)
        for uri in sorted(self._with_keys(scope.every_key)):
            why = held or (_OPEN if uri in others else "")
            locked = [each for each in copies(self._workspace, uri) if each.lock.closed()]
            for each in locked:
                until = each.lock.until.date().isoformat() if each.lock.until and not each.lock.hold else ""
                action = Action.EXPIRE if until else Action.KEEP
                yield self._trace(each.address, action, version=each.version, why=str(each.lock), until=until)
            if not locked:
                yield self._trace(uri, Action.KEEP if why else Action.SHRED, why=why)
        if any(_holds(path, scope.every_key) for folder in self._half_built() for path in folder.rglob("*")):
            yield self._trace(_HALF, Action.DESTROY)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Shred a set, or remove what was half built."""
        if trace.stays:
            return
        if trace.address == _HALF:
            sweep(self._root)
        else:
            self._shred(trace.address)

    def _shred(self, uri: str) -> None:
        """Remove it with all versions, then put what is left in its place: what is killed in between is gone whole."""
        kind, _, key = uri.partition("/")
        left = self._left(uri)
        self._store.remove(uri)
        sweep(self._root)
        if left is None:
            return
        with self._store.create(kind, key, {"stage": "shredded", "data": left["data"]}, {"at": now()}) as folder:
            write_json(folder / LEFT, left)

    def _left(self, uri: str) -> dict[str, Any] | None:
        """What may be known of a set afterwards; None where its newest version cannot be read, or has no keys."""
        folder = self._store.find(*uri.split("/", 1))
        if folder is None or not (folder / KEYS).is_file():
            return None
        said = json.loads((folder / KEYS).read_bytes())
        left = {"data": said["data"], "records": len(said["records"]), "commitment": Shredder().all(said["records"])}
        return left | ({"retires": said["retires"]} if said.get("retires") else {})

    def _with_keys(self, keys: frozenset[str]) -> set[str]:
        """Addresses of all sets of which a file, a version or a fetched copy names one of the keys."""
        files = (path for path in self._root.glob("[!.]*/*") if path.is_file() and path.name != manifest.RUN)
        found = {f"{KIND}/{path.parent.name}" for path in files if _holds(path, keys)}
        if isinstance(self._store, S3Artifacts):
            for version in self._store.versions.under(self._store.key(KIND) + "/"):
                uri = self._store.address(version.key)
                if uri not in found and version.key.endswith(f"/{KEYS}") and not version.marker:
                    text = self._store.versions.read(version) or b""
                    found |= {uri} if any(key.encode() in text for key in keys) else set()
        return found

    def _others(self, scope: Scope) -> set[str]:
        """The sets of open deletions other than the scope's own."""
        return {each.forget.uri for each in Journal(self._workspace).unfinished() if each.id != scope.request}

    def _half_built(self) -> list[Path]:
        return [path for path in self._root.glob(".*") if path.is_dir()]

    @property
    def _root(self) -> Path:
        assert isinstance(self._local, LocalArtifacts)
        return self._local.root / KIND

    def _trace(self, where: str, action: Action, **more: str) -> Trace:
        return Trace(place=self.name, address=where, holds=Holds.KEYS, action=action, **more)


def _holds(path: Path, keys: frozenset[str]) -> bool:
    if not path.is_file():
        return False
    text = path.read_bytes()
    return any(key.encode() in text for key in keys)
