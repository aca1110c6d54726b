"""Where copies of the data lie: unpacked revisions, DVC's cache and its remotes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tmu.errors import DataError, StorageError
from tmu.files import discard, storage_errors
from tmu.purge.data_held import held, in_shard, only_copy
from tmu.purge.data_revisions import LINKS, OldRevisions
from tmu.purge.held import held_people
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.stores.dvc_objects import Copy, FolderObjects, Objects, S3Objects, object_of
from tmu.stores.s3_access import S3Access, s3_access
from tmu.workspace import Workspace

ORDER = 10
_THEIRS = "a revision of another project in the same store names it"
_HELD = "a legal hold names somebody else of whom this is all that is left"
_SEALED = "a revision made under another secret, in which nobody can be found by key"
_LINKS = "{} more names of the same file lie where tmu does not look, and keep its bytes"
_UNREACHED = "a remote of a kind that tmu does not reach"


def places(workspace: Workspace) -> list[Place]:
    """Unpacked revisions first, then what they were unpacked from."""
    stores, beyond = _stores(workspace)
    old = OldRevisions(workspace, stores)
    found: list[Place] = [UnpackedRevisions(workspace, old)]
    folders = [store for store in stores if isinstance(store, FolderObjects)]
    found += [Unfinished(folders), *(ObjectStore(old, store) for store in stores)]
    return found + [Beyond(name) for name in beyond]


class ObjectStore:
    """DVC's cache, or a remote."""

    def __init__(self, old: OldRevisions, store: Objects) -> None:
        self.name, self._old, self._store = store.name, old, store
        self._kept: dict[str, frozenset[str]] = {}

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Objects of old revisions that hold the scope, then the lists that name them."""
        found = self._old.found(scope)
        holds = found.objects | dict.fromkeys(sorted(found.lists), Holds.NAMES)
        copies = {name: self._store.copies(name) for name in holds}
        self._kept[scope.request] = self._old.elsewhere(scope, self._store, [name for name in copies if copies[name]])
        for name, here in copies.items():
            held = name in found.held
            yield from (self._trace(scope, name, copy, holds[name], held=held) for copy in here)
            if links := self._old.links(scope, self._store, name):
                beyond = Copy(f"{LINKS}{name}")
                yield self._said(beyond, holds[name], action=Action.KEEP, why=_LINKS.format(links))
        for name in sorted(found.sealed):
            for copy in self._store.copies(name):
                yield self._said(copy, Holds.IMAGES, action=Action.KEEP, why=_SEALED)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Note what goes, then destroy it; what the live revision or another project needs is refused."""
        if trace.stays:
            return
        name = object_of(trace.address)
        if name in self._old.needed() or name in self._elsewhere(scope, name):
            raise StorageError("An object that is to be destroyed is needed now.", "Make the purge's plan again.")
        self._old.note(scope, self._store, name, trace.holds)
        self._store.destroy(name, trace.version)

    def _elsewhere(self, scope: Scope, name: str) -> frozenset[str]:
        """Looked for once in a process: by `find`, or here where the plan was made by another one."""
        if scope.request not in self._kept:
            everything = [*self._old.found(scope).objects, name]
            self._kept[scope.request] = self._old.elsewhere(scope, self._store, everything)
        return self._kept[scope.request]

    def _trace(self, scope: Scope, name: str, copy: Copy, holds: Holds, *, held: bool) -> Trace:
        if held:
            return self._said(copy, holds, action=Action.KEEP, why=_HELD)
        if name in self._kept[scope.request]:
            return self._said(copy, holds, action=Action.KEEP, why=_THEIRS)
        if copy.lock.closed():
            until = copy.lock.until.date().isoformat() if copy.lock.until and not copy.lock.hold else ""
            action = Action.EXPIRE if until else Action.KEEP
            return self._said(copy, holds, action=action, why=str(copy.lock), until=until)
        return self._said(copy, holds, action=Action.DESTROY)

    def _said(self, copy: Copy, holds: Holds, **more: Any) -> Trace:
        return Trace(place=self.name, address=copy.address, version=copy.version, holds=holds, **more)


class UnpackedRevisions:
    """Old revisions in `.tmu/revisions`, linked or copied from DVC's cache."""

    name = "unpacked revisions"

    def __init__(self, workspace: Workspace, old: OldRevisions) -> None:
        self._workspace, self._folder, self._old = workspace, workspace.state("revisions"), old
        self._data = workspace.data

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Folders in which a shard holds the scope."""
        people = held_people(self._workspace) - {*scope.subjects}
        for folder in sorted(path for path in self._folder.glob("[!.]*") if path.is_dir()):
            found = filter(None, (held(scope, name, path, self._data) for name, path in self._doubtful(folder)))
            if (holds := next(found, None)) is not None:
                kept = any(only_copy(people, name, path, self._data) for name, path in self._doubtful(folder))
                action, why = (Action.KEEP, _HELD) if kept else (Action.DESTROY, "")
                yield Trace(place=self.name, address=folder.name, holds=holds, action=action, why=why)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Remove a folder; whatever of it is needed is unpacked again."""
        folder = self._folder / Path(trace.address).name
        if folder.is_dir() and not trace.stays:
            with storage_errors(folder):
                discard(folder)

    def _doubtful(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The files of a folder that are not the live revision's."""
        needed, listed = self._old.needed(), self._old.files(folder.name.removesuffix(".linked"))
        inside = folder / "files" if folder.suffix == ".linked" else folder
        for path in sorted(path for path in inside.rglob("*") if path.is_file()):
            name = path.relative_to(inside).as_posix()
            if listed.get(name) not in needed:
                yield name, path


class Unfinished:
    """What killed DVC commands left of a shard beside the objects of a cache or a folder."""

    name = "unfinished copies of DVC"

    def __init__(self, stores: list[FolderObjects]) -> None:
        self._stores = stores

    def find(self, scope: Scope) -> Iterator[Trace]:
        """All in a store of our own; in a shared one, where others may be writing now, those that hold the scope."""
        for address, path, own in self._files():
            if own or _holds_wholly(scope, path):
                yield Trace(place=self.name, address=address, holds=Holds.IMAGES, action=Action.DESTROY)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Remove one."""
        for address, path, _ in self._files():
            if address == trace.address and not trace.stays:
                with storage_errors(path):
                    path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[str, Path, bool]]:
        for store in self._stores:
            for path in store.unfinished():
                yield f"{store.name}: {path.parent.name}/{path.name}", path, store.own


class Beyond:
    """A remote that tmu does not reach: told, so that nobody takes it for purged."""

    def __init__(self, name: str) -> None:
        self.name = f"DVC remote {name}"

    def find(self, scope: Scope) -> Iterator[Trace]:
        """One trace for all that may lie there."""
        yield Trace(place=self.name, address=self.name, holds=Holds.IMAGES, action=Action.KEEP, why=_UNREACHED)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Nothing: it stays."""


def _holds_wholly(scope: Scope, path: Path) -> bool:
    try:
        return in_shard(scope, path)
    except DataError:
        return False


def _stores(workspace: Workspace) -> tuple[list[Objects], list[str]]:
    """The cache and all remotes that DVC is configured with, and the names of those that tmu does not reach."""
    if not (workspace.root / ".dvc").is_dir():
        return [], []
    settings = workspace.versions.settings
    cache = Path(settings.get("cache.dir", workspace.root / ".dvc" / "cache"))
    own = cache.resolve().is_relative_to(workspace.root.resolve())
    stores: list[Objects] = [FolderObjects("DVC cache", cache, own=own)]
    beyond = []
    for key, url in sorted(settings.items()):
        name = key.removeprefix("remote.").removesuffix(".url")
        if not (key.startswith("remote.") and key.endswith(".url")):
            continue
        if url.startswith("s3://"):
            endpoint = settings.get(f"remote.{name}.endpointurl")
            access = _access(workspace, endpoint)
            stores.append(S3Objects(f"DVC remote {name}", url, access, workspace.state()))
        elif "://" in url:
            beyond.append(name)
        else:
            stores.append(FolderObjects(f"DVC remote {name}", Path(url)))
    return stores, beyond


def _access(workspace: Workspace, endpoint: str | None) -> S3Access:
    ours = s3_access(workspace.settings)
    return S3Access(endpoint or ours.endpoint_url, ours.keys, ours.checksums)
