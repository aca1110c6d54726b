"""Which objects of DVC hold records of a scope: those of old revisions of this workspace that the live one lacks.

Each such object is opened once, whatever its shard, so that the cost grows with the old shards that are left, and not
with the records. An object that another project's list names in the same store is told apart (`docs/erasure-data.md`).
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tmu.data.digest import manifest, manifest_digest
from tmu.data.info import SHARD_FOLDER, STORE_FILE, StoreInfo, read_info
from tmu.data.keys import to_hex
from tmu.data.shards import read_keys
from tmu.deletion.journal import Journal
from tmu.errors import DataError, StorageError
from tmu.purge.data_notes import Noted, Notes
from tmu.purge.scope import Scope
from tmu.purge.trace import Holds
from tmu.stores.dvc_objects import LISTS, Objects
from tmu.workspace import Workspace

_LIST = re.compile(r"\b[0-9a-f]{32}\.dir\b")


@dataclass(frozen=True)
class Found:
    """objects: what is to go, and what it holds. lists: the lists of folders that name one of them.

    sealed: lists of revisions made under another secret, in which nobody can be found by their key.
    """

    objects: dict[str, Holds] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    sealed: frozenset[str] = frozenset()


class OldRevisions:
    """The old revisions of a workspace, in some stores of DVC's objects; what was opened once is remembered."""

    def __init__(self, workspace: Workspace, stores: Collection[Objects]):
        self._workspace, self._stores = workspace, stores
        self._notes = Notes(workspace.state("purged-data.json"))
        self._judged: dict[tuple[str, str], Holds | None] = {}
        self._files: dict[str, dict[str, str]] = {}

    def found(self, scope: Scope) -> Found:
        """What the stores hold of a scope, or held before this scope's purge."""
        noted, live = self._notes.read(), self._live()
        found = Found(dict(noted.of(scope.request)))
        needed, lists, sealed = frozenset(live.values()), set(), set()
        for name in sorted(self._known(scope) - noted.closed(scope.request) - {manifest_digest(live)}):
            files = self.files(name, noted)
            if self._is_sealed(files):
                sealed.add(name)
                continue
            for file, md5 in files.items():
                if md5 not in needed and md5 not in found.objects and (holds := self.judged(scope, file, md5)):
                    found.objects[md5] = holds
            if found.objects.keys() & set(files.values()):
                lists.add(name)
        return Found(found.objects, frozenset(lists), frozenset(sealed))

    def files(self, name: str, noted: Noted | None = None) -> dict[str, str]:
        """MD5 by file, from a list's own name; empty where it is nowhere. StorageError where it is damaged."""
        noted = noted or self._notes.read()
        if noted.lists.get(name):
            return noted.lists[name]
        if name not in self._files:
            contents = [content for store in self._stores if (content := store.read(name)) is not None]
            sound = [each for each in contents if hashlib.md5(each, usedforsecurity=False).hexdigest() + LISTS == name]
            if contents and not sound:
                raise StorageError(f"DVC's list of revision {name} was changed.", "Delete it, or `dvc fetch` it.")
            if not sound:
                return {}
            self._files[name] = {each["relpath"]: each["md5"] for each in json.loads(sound[0])}
        return self._files[name]

    def judged(self, scope: Scope, file: str, md5: str) -> Holds | None:
        """What an object holds of a scope, as the file that a list names; None of nothing, and where it is nowhere."""
        key = (scope.request, md5)
        for store in self._stores if key not in self._judged else ():
            with store.opened(md5) as path:
                if path is not None:
                    self._judged[key] = self.held(scope, file, path)
                    break
        return self._judged.get(key)

    def held(self, scope: Scope, file: str, path: Path) -> Holds | None:
        """What a file of a revision holds of a scope; what cannot be read counts as if it did."""
        place = PurePosixPath(file)
        if place.parent.name == SHARD_FOLDER and place.suffix == ".parquet":
            return Holds.IMAGES if _in_shard(scope, path) else None
        if place.name == STORE_FILE:
            return Holds.NAMES if _names_retired(path, read_info(self._workspace.data)) else None
        content = path.read_bytes()
        return Holds.KEYS if any(key.encode() in content for key in scope.keys) else None

    def needed(self) -> frozenset[str]:
        """The objects of the live revision."""
        return frozenset(self._live().values())

    def elsewhere(self, scope: Scope, store: Objects, names: Collection[str]) -> frozenset[str]:
        """Those of the objects that a list of another project names in a store."""
        if store.own or not names:
            return frozenset()
        found: set[str] = set()
        known = self._known(scope) | self._notes.read().lists.keys()
        for name in store.lists():
            content = None if name in known else store.read(name)
            found |= {each for each in names if content and each.encode() in content}
        return frozenset(found)

    def note(self, scope: Scope, name: str, holds: Holds) -> None:
        """Remember an object, or what a list names, before it goes."""
        if name.endswith(LISTS):
            self._notes.add_list(scope.request, name, self.files(name), self._left)
        else:
            self._notes.add_object(scope.request, name, holds, self._left)

    def _left(self, md5: str) -> bool:
        return md5 not in self.needed() and any(store.copies(md5) for store in self._stores)

    def _live(self) -> dict[str, str]:
        return manifest(self._workspace.data, self._workspace.md5s)

    def _known(self, scope: Scope) -> set[str]:
        """The lists that are this workspace's own: it recorded them, or they are revisions in a store of its own."""
        found = {scope.before.digest, scope.after.digest, *self._workspace.versions.recorded()}
        for deletion in Journal(self._workspace).all():
            found |= {each.digest for each in (deletion.plan.data, deletion.data) if each}
        found |= set(_LIST.findall(_history(self._workspace.root)))
        found |= {path.name.removesuffix(".linked") for path in self._workspace.state("revisions").glob("[!.]*")}
        for store in (store for store in self._stores if store.own):
            found |= {name for name in store.lists() if STORE_FILE in self.files(name)}
        return {name for name in found if _LIST.fullmatch(name)}

    def _is_sealed(self, files: dict[str, str]) -> bool:
        """Whether a revision was made under another secret than the live one."""
        for store in self._stores if STORE_FILE in files else ():
            with store.opened(files[STORE_FILE]) as path:
                if path is not None:
                    return _key_id(path) != read_info(self._workspace.data).key_id
        return False


def _in_shard(scope: Scope, path: Path) -> bool:
    try:
        shard = read_keys(path)
    except DataError:
        return True
    return not scope.keys.isdisjoint(to_hex(shard.record_keys) + to_hex(shard.people()))


def _key_id(path: Path) -> str:
    return StoreInfo.model_validate_json(path.read_bytes()).key_id


def _names_retired(path: Path, live: StoreInfo) -> bool:
    """Whether a description names a class that was erased as a whole: a class can be a person."""
    old = StoreInfo.model_validate_json(path.read_bytes())
    return not set(live.retired) <= set(old.retired)


def _history(root: Path) -> str:
    """What `data.dvc` and `dvc.lock` say and, in a git repository, ever said on any branch."""
    names = ("data.dvc", "dvc.lock")
    now = [(root / name).read_text() for name in names if (root / name).is_file()]
    command = ["git", "-C", str(root), "log", "--all", "--format=", "--patch", "--", *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        return "\n".join(now)  # no git on this machine
    # a new repository has no commit yet
    if done.returncode and "not a git repository" not in done.stderr and "any commits" not in done.stderr:
        raise StorageError(
            "git does not tell the history of data.dvc.", "Run `git log -- data.dvc` and fix what it says."
        )
    now.append(done.stdout)
    return "\n".join(now)
