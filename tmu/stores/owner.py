"""Whose an artifact store is: a mark at its top names the workspace, so that nobody purges what is another's.

Artifacts have no owner of their own. Two workspaces with one prefix would take each other's for old versions of theirs.
"""

import secrets
from pathlib import Path

from pydantic import Field, ValidationError

from tmu.config import Config
from tmu.errors import StorageError
from tmu.files import write_atomic
from tmu.stores.lock import locked

MARK = ".tmu-owner.json"


class Owner(Config):
    """A workspace. id: random, for ever. name: of its folder when the id was made, for messages."""

    form: str = Field("tmu owner", pattern="^tmu owner$")
    id: str = Field(pattern="^[0-9a-f]{32}$")
    name: str

    def as_bytes(self) -> bytes:
        """As a mark holds it."""
        return self.model_dump_json(indent=2).encode()


def owner_of(root: Path) -> Owner:
    """The workspace at a folder; its id is made at the first call, and moves with `.tmu`."""
    path = root / ".tmu" / "owner.json"
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            write_atomic(path, Owner(id=secrets.token_hex(16), name=root.name).as_bytes())
        return read_owner(path.read_bytes(), str(path))


def read_owner(raw: bytes, where: str) -> Owner:
    """The owner that a mark names. Raises StorageError for one that is damaged."""
    try:
        return Owner.model_validate_json(raw)
    except ValidationError as error:
        raise StorageError(f"The mark of the owner at {where} is damaged.", "Restore it from a backup.") from error


def refuse_another(mine: Owner, raw: bytes, where: str) -> None:
    """Raise StorageError, with the name, where a mark is that of another workspace."""
    found = read_owner(raw, where)
    if found.id != mine.id:
        raise StorageError(
            f"{where.rpartition('/')[0]} belongs to the workspace `{found.name}` (id {found.id[:8]}), not to this one "
            f"(id {mine.id[:8]}): nothing is written or purged there.",
            "Name a folder or prefix of this workspace's own in setting `artifacts`. If the other one is gone for "
            f"good, remove {where} by hand.",
        )
