"""What purges took of the data's old revisions, so that it can be looked for again when DVC's lists of them are gone.

Holds MD5s of shards and their numbers, and no key of anybody.
"""

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from tmu.config import Config
from tmu.errors import StorageError
from tmu.files import write_atomic
from tmu.purge.trace import Holds


class Noted(Config):
    """request: the deletion whose purge wrote last. objects: what it took, and what each held. links: by store and
    object, how many other names (hard links) of the same file lay where tmu does not look. lists: of each list that was
    taken, MD5 by file; of an earlier request's those files alone that are left.
    """

    request: str = ""
    objects: dict[str, Holds] = Field(default_factory=dict)
    links: dict[str, int] = Field(default_factory=dict)
    lists: dict[str, dict[str, str]] = Field(default_factory=dict)

    def of(self, request: str) -> dict[str, Holds]:
        """The objects that this request's purge took."""
        return dict(self.objects) if request == self.request else {}

    def links_of(self, request: str) -> dict[str, int]:
        """Of the objects that this request's purge took."""
        return dict(self.links) if request == self.request else {}

    @property
    def closed(self) -> frozenset[str]:
        """Lists of which an earlier purge left nothing: nobody needs to look for them again."""
        return frozenset(name for name, files in self.lists.items() if not files)


class Notes:
    """The file in which that is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Noted:
        """What is noted; StorageError where the file is damaged."""
        if not self._path.is_file():
            return Noted()
        try:
            return Noted.model_validate_json(self._path.read_bytes())
        except ValidationError as error:
            raise StorageError(
                f"{self._path.name} is damaged.", "Restore it from a backup of the workspace."
            ) from error

    def add_object(
        self, request: str, name: str, holds: Holds, links: dict[str, int], left: Callable[[str], bool]
    ) -> None:
        """Note an object before it goes. left: whether an object is still in a store, and no live revision's."""
        noted = self._begun(request, left)
        self._write(noted, objects=noted.objects | {name: holds}, links=noted.links | links)

    def add_list(self, request: str, name: str, files: dict[str, str], left: Callable[[str], bool]) -> None:
        """Note a list before it goes, with the MD5 of each file in it."""
        noted = self._begun(request, left)
        self._write(noted, lists=noted.lists | {name: files})

    def _begun(self, request: str, left: Callable[[str], bool]) -> Noted:
        """The notes for this request; of what an earlier one left, only what can still be found."""
        noted = self.read()
        if noted.request == request:
            return noted
        lists = {name: {file: md5 for file, md5 in files.items() if left(md5)} for name, files in noted.lists.items()}
        return Noted(request=request, lists=lists)

    def _write(self, noted: Noted, **changes: object) -> None:
        changed = noted.model_copy(update=changes)
        if changed != noted or not self._path.is_file():
            write_atomic(self._path, changed.model_dump_json().encode())
