"""Which objects of DVC hold records of a scope: those of old revisions of this workspace that the live one lacks.

Each such object is opened once, whatever its shard, so that the cost grows with the old shards that are left, and not
with the records. An object that another project's list names in the same store is told apart (`docs/erasure-data.md`).
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass

from tmu.data.digest import manifest, manifest_digest
from tmu.data.info import STORE_FILE, read_info
from tmu.errors import StorageError
from tmu.purge.data_held import description, held, is_revision, may_hold, only_copy
from tmu.purge.data_notes import Noted, Notes
from tmu.purge.data_ownership import of_others, outputs, recorded
from tmu.purge.held import held_people
from tmu.purge.record import find_record
from tmu.purge.scope import Scope
from tmu.purge.trace import Holds
from tmu.stores.dvc_objects import LISTS, Objects, object_of
from tmu.workspace import Workspace

WEIGHTS = "weights.safetensors"  # tmu/models/bundle.py, without torch
LINKS = "hard links of "
"""How the address of a trace begins that is about names of a file, and not about the object itself."""


@dataclass(frozen=True)
class Found:
    """objects: what is to go, and what it holds. lists: the lists of folders that name one of them.

    sealed: lists of revisions made under another secret, in which nobody can be found by their key. held: objects that
    are all that is left of somebody whom a legal hold names, and the lists that name them.
    """

    objects: dict[str, Holds]
    lists: frozenset[str]
    sealed: frozenset[str]
    held: frozenset[str]


class OldRevisions:
    """The old revisions of a workspace, in some stores of DVC's objects; what was opened once is remembered."""

    def __init__(self, workspace: Workspace, stores: Collection[Objects]) -> None:
        self._workspace, self.stores = workspace, stores
        self.notes = Notes(workspace.state("purged-data.json"))
        self._judged: dict[tuple[str, str], Holds | None] = {}
        self._files: dict[str, dict[str, str]] = {}

    def found(self, scope: Scope) -> Found:
        """What the stores hold of a scope, or held before this scope's purge."""
        noted, live = self.notes.read(), self._live()
        needed, sealed = frozenset(live.values()), set()
        known = self._known(scope) - noted.closed - {manifest_digest(live)}
        named = self._of_stages(scope, known) | self._kept(scope)
        lists = {name for name in named if name.endswith(LISTS)}
        objects = {name: holds for name, holds in named.items() if name not in lists | needed}
        objects |= noted.of(scope.request)
        for name in sorted(known):
            files = self.files(name, noted)
            if self._is_sealed(files):
                sealed.add(name)
                continue
            for file, md5 in files.items():
                if md5 not in needed and md5 not in objects and (holds := self._judge(scope, file, md5)):
                    objects[md5] = holds
            if objects.keys() & set(files.values()):
                lists.add(name)
        held = self._held(scope, objects, {name: self.files(name, noted) for name in known - sealed})
        return Found(objects, frozenset(lists), frozenset(sealed), held)

    def files(self, name: str, noted: Noted | None = None) -> dict[str, str]:
        """MD5 by file, from a list's own name; empty where it is nowhere. StorageError where it is damaged."""
        noted = noted or self.notes.read()
        if noted.lists.get(name):
            return noted.lists[name]
        if name not in self._files and name.endswith(LISTS):
            contents = [content for store in self.stores if (content := store.read(name)) is not None]
            sound = [each for each in contents if hashlib.md5(each, usedforsecurity=False).hexdigest() + LISTS == name]
            if contents and not sound:
                raise StorageError(f"DVC's list of revision {name} was changed.", "Delete it, or `dvc fetch` it.")
            if not sound:
                return {}
            self._files[name] = {each["relpath"]: each["md5"] for each in json.loads(sound[0])}
        return self._files.get(name, {})

    def needed(self) -> frozenset[str]:
        """The objects of the live revision, and its list."""
        live = self._live()
        return frozenset([*live.values(), manifest_digest(live)])

    def elsewhere(self, scope: Scope, store: Objects, names: Collection[str]) -> frozenset[str]:
        """Those of the objects and lists that another project needs in a store."""
        if store.own or not names:
            return frozenset()
        theirs = of_others(self._workspace.settings.dvc_projects)
        known = (self._known(scope) | self.notes.read().lists.keys()) - theirs
        found = {each for each in names if each in theirs}
        for name in store.lists():
            content = None if name in known else store.current(name)
            found |= {each for each in names if content and each.encode() in content}
        return frozenset(found)

    def note(self, scope: Scope, store: Objects, name: str, holds: Holds) -> None:
        """Remember an object, or what a list names, before it goes."""
        if name.endswith(LISTS):
            self.notes.add_list(scope.request, name, self.files(name), self._left)
        else:
            number = self._links_now(store, name)
            links = {f"{store.name}/{name}": number} if number else {}
            self.notes.add_object(scope.request, name, holds, links, self._left)

    def links(self, scope: Scope, store: Objects, name: str) -> int:
        """How many names of an object's file lie where tmu does not look, or lay there when it was taken."""
        if store.file(name) is not None:
            return self._links_now(store, name)
        return self.notes.read().links_of(scope.request).get(f"{store.name}/{name}", 0)

    def _links_now(self, store: Objects, name: str) -> int:
        """Names of a file that are neither in a store nor in the workspace's folders."""
        file = store.file(name)
        if file is None or file.st_nlink == 1:
            return 0
        here = [self._workspace.data, self._workspace.state("revisions"), self._workspace.root / "out"]
        others = [path.stat() for folder in here for path in folder.rglob("*") if path.is_file()]
        others += [found for each in self.stores if (found := each.file(name)) is not None]
        return file.st_nlink - sum((each.st_dev, each.st_ino) == (file.st_dev, file.st_ino) for each in others)

    def _judge(self, scope: Scope, file: str, md5: str) -> Holds | None:
        """What an object holds of a scope, as the file that a list names; None of nothing, and where it is nowhere."""
        key = (scope.request, md5)
        for store in self.stores if may_hold(scope, file) and key not in self._judged else ():
            with store.opened(md5) as path:
                if path is not None:
                    self._judged[key] = held(scope, file, path, self._workspace.data)
                    break
        return self._judged.get(key)

    def _held(self, scope: Scope, objects: Collection[str], listed: dict[str, dict[str, str]]) -> frozenset[str]:
        """Of the objects and the lists (with their files) those that a legal hold keeps."""
        people, found = held_people(self._workspace) - {*scope.subjects}, set[str]()
        for file, md5 in {each for files in listed.values() for each in files.items()} if people else ():
            for store in self.stores if md5 in objects else ():
                with store.opened(md5) as path:
                    if path is not None and only_copy(people, file, path, self._workspace.data):
                        found.add(md5)
        return frozenset(found) | {name for name, files in listed.items() if not found.isdisjoint(files.values())}

    def _of_stages(self, scope: Scope, known: Collection[str]) -> dict[str, Holds]:
        """The lists and objects of stage outputs that hold the scope, but for objects that another list names, too."""
        named = outputs(self._workspace, set(scope.artifacts) - set(scope.spared))
        found = {name: Holds.WEIGHTS if path.endswith(WEIGHTS) else Holds.OUTPUTS for name, path in named.items()}
        for name in [each for each in named if each.endswith(LISTS)]:
            for file, md5 in self.files(name).items():
                found.setdefault(md5, Holds.WEIGHTS if file == WEIGHTS else Holds.OUTPUTS)
        others = {md5 for name in known - found.keys() for md5 in self.files(name).values()} if found else set()
        return {name: holds for name, holds in found.items() if name not in others}

    def _kept(self, scope: Scope) -> dict[str, Holds]:
        """What the purge's record says that stays: when its keys are gone, nothing else tells."""
        record = None if scope.every_key else find_record(self._workspace, scope.request)
        mine = {store.name for store in self.stores}
        stays = [trace for trace in record.stays if trace.place in mine] if record else []
        return {object_of(each.address): each.holds for each in stays if not each.address.startswith(LINKS)}

    def _left(self, md5: str) -> bool:
        return md5 not in self.needed() and any(store.copies(md5) for store in self.stores)

    def _live(self) -> dict[str, str]:
        """The files of the live revision; of a workspace without data, none."""
        if not self._workspace.data.is_dir() and not (self._workspace.root / "data.dvc").exists():
            return {}
        return manifest(self._workspace.data, self._workspace.md5s)

    def _known(self, scope: Scope) -> frozenset[str]:
        """The lists that are this workspace's own: it recorded them, or they are revisions in a store of its own."""
        own = (name for store in self.stores if store.own for name in store.lists())
        return recorded(self._workspace, scope) | {name for name in own if is_revision(self.files(name))}

    def _is_sealed(self, files: dict[str, str]) -> bool:
        """Whether a revision of real people was made under another secret than the live one."""
        for store in self.stores if STORE_FILE in files else ():
            with store.opened(files[STORE_FILE]) as path:
                if path is not None:
                    info = description(path)
                    live = read_info(self._workspace.data)
                    return info is not None and not info.simulated and info.key_id != live.key_id
        return False
