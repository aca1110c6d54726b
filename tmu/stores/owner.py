"""Whose an artifact store is: a mark at its top names the workspace, so that nobody purges what is another's.

Artifacts have no owner of their own. Two workspaces with one prefix would take each other's for old versions of theirs.
A copy of a workspace has its id. So a mark tells the place, too: a workspace that moved takes its store along once
nothing of it is left at the old place, and a copy does not.
"""

import secrets
from pathlib import Path

from pydantic import Field, ValidationError

from tmu.config import Config
from tmu.errors import StorageError
from tmu.files import digest_of, write_atomic
from tmu.stores.lock import locked

MARK = ".tmu-owner.json"
_FORM = "^tmu owner$"
_ID = "^[0-9a-f]{32}$"


class Owner(Config):
    """A workspace, as a mark names it. id: random, for ever. name: of its folder. place: a digest of its path."""

    form: str = Field("tmu owner", pattern=_FORM)
    id: str = Field(pattern=_ID)
    name: str
    place: str = ""

    def as_bytes(self) -> bytes:
        """As a mark holds it."""
        return self.model_dump_json(indent=2).encode()


class Home(Config):
    """A workspace, as it knows itself (`.tmu/owner.json`). path: of its folder. former: where it was before.

    copy_of: where the workspace lay whose copy it is.
    """

    form: str = Field("tmu owner", pattern=_FORM)
    id: str = Field(pattern=_ID)
    path: str
    former: tuple[str, ...] = ()
    copy_of: str | None = None

    @property
    def owner(self) -> Owner:
        """As a mark names it."""
        return Owner(id=self.id, name=Path(self.path).name, place=_place(self.path))

    def at(self, root: Path) -> "Home":
        """The same at the folder where it is found now: it has moved there, or is a copy of what is still there."""
        if self.path == str(root):
            return self
        if self.lives_at(self.path, root):
            return Home(id=self.id, path=str(root), copy_of=self.path)
        former = tuple(dict.fromkeys((*self.former, self.path)))
        return self.model_copy(update={"path": str(root), "former": former})

    def lives_at(self, path: str, root: Path | None = None) -> bool:
        """Whether a workspace of this id is at `path` that is not the one at `root`; also where nobody can look."""
        there, mine = Path(path, ".tmu"), Path(root or self.path, ".tmu")
        try:
            return _read(there / "owner.json").id == self.id and not there.samefile(mine)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, StorageError):
            return True

    def holds(self, mark: Owner, inside: bool) -> bool:
        """Whether what bears the mark is this workspace's. inside: it lies in its folder, and came with it."""
        places = (path for path in self.former if not self.lives_at(path))
        here = mark.place == _place(self.path) or mark.place in map(_place, places)
        return mark.id == self.id and (inside or here)


def home_of(root: Path) -> Home:
    """The workspace at a folder, for who only looks; one that never wrote has an id of the moment."""
    root = root.resolve()
    path = root / ".tmu" / "owner.json"
    return (_read(path) if path.exists() else Home(id=secrets.token_hex(16), path=str(root))).at(root)


def owner_of(root: Path) -> Owner:
    """As a mark names it; id and place are written down, and move with `.tmu`."""
    path = root.resolve() / ".tmu" / "owner.json"
    with locked(path.with_suffix(".lock")):
        home = home_of(root)
        content = home.model_dump_json(indent=2).encode()
        if not path.exists() or path.read_bytes() != content:
            write_atomic(path, content)
        return home.owner


def read_owner(raw: bytes, where: str) -> Owner:
    """The owner that a mark names. Raises StorageError for one that is damaged."""
    try:
        return Owner.model_validate_json(raw)
    except ValidationError as error:
        raise _damaged(where) from error


def refuse_another(mine: Home, raw: bytes, where: str, *, inside: bool = False) -> None:
    """Raise StorageError, with the name, where a mark is that of another workspace. inside: see `Home.holds`."""
    found = read_owner(raw, where)
    if mine.holds(found, inside):
        return
    whose, me = f"the workspace `{found.name}` (id {found.id[:8]})", f"this one (id {mine.id[:8]})"
    if found.id == mine.id:
        whose, me = f"another copy of this workspace, in a folder `{found.name}`", f"the one in {mine.path}"
    raise StorageError(
        f"{where.rpartition('/')[0]} belongs to {whose}, not to {me}: nothing is written or purged there.",
        "Name a folder or prefix of this workspace's own in setting `artifacts`. If the other one is gone for "
        f"good, remove {where} by hand.",
    )


def _read(path: Path) -> Home:
    try:
        return Home.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise _damaged(str(path)) from error


def _damaged(where: str) -> StorageError:
    return StorageError(f"The mark of the owner at {where} is damaged.", "Restore it from a backup.")


def _place(path: str) -> str:
    return digest_of(path)[:16]
