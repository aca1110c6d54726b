"""Tombstones: one line a deletion in a file that only grows, kept apart from what a backup restores.

A line holds marks, not keys: HMACs of record and subject keys under a secret of their own. Who has the file alone can
test nobody. Each line carries the digest of the one before, so that a line that was changed or taken out shows.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from tmu.config import Config
from tmu.errors import ConfigError, DataError
from tmu.files import canonical_json, storage_errors, write_atomic
from tmu.provenance import now
from tmu.stores.lock import locked
from tmu.workspace import Workspace

FILE, SECRET = "tombstones.jsonl", "key"
_GENESIS = "0" * 64


class Tombstone(Config):
    """What one deletion destroyed; a deletion may have several lines, which count together.

    request: the deletion's id. requests: the ledger's ids that it served. mark_key: id of the secret of the marks.
    key_id: id of the secret of the keys that were marked (`Keys.id`). before, after: data revisions. records, subjects:
    marks, hex; subjects: people of whom nothing was left. weights: SHA-256 of the weights of models that were
    destroyed. artifacts: addresses of artifacts that were. previous: SHA-256 of the line before.
    """

    format: Literal[1] = 1
    request: str
    requests: tuple[str, ...] = ()
    mark_key: str
    key_id: str
    before: str
    after: str
    records: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    at: str
    previous: str

    @property
    def said(self) -> dict[str, object]:
        """All but when it was written and where in the file: what makes two lines the same."""
        return self.model_dump(mode="json", exclude={"at", "previous"})


class Erased(Config):
    """What is to be remembered of a deletion, in keys (HMAC, hex); see `Tombstone` for the rest."""

    request: str
    requests: tuple[str, ...] = ()
    key_id: str
    before: str
    after: str
    records: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()


class Tombstones:
    """The tombstones of a workspace: in the folder of setting `suppression`, else in `.tmu/suppression`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / FILE

    @classmethod
    def of(cls, workspace: Workspace) -> "Tombstones":
        """Those of a workspace. Nothing is made before the first line is written."""
        named = workspace.settings.suppression
        return cls(workspace.root / named if named else workspace.root / ".tmu" / "suppression")

    def all(self) -> list[Tombstone]:
        """All lines, oldest first. Raises DataError for one that was changed, taken out, or is none."""
        return read_tombstones(self.path) if self.path.exists() else []

    def add(self, erased: Erased) -> bool:
        """Remember a deletion; False where the very same is remembered already. On the disk once this returns."""
        with locked(self.folder / "lock"):
            known, marks = self.all(), Marks(self.make_secret())
            line = Tombstone(
                **erased.model_dump(exclude={"records", "subjects"}),
                mark_key=marks.id,
                records=tuple(sorted(map(marks.of, erased.records))),
                subjects=tuple(sorted(map(marks.of, erased.subjects))),
                at=now(),
                previous=_digest(known[-1]) if known else _GENESIS,
            )
            if any(each.said == line.said for each in known):
                return False
            self._append([line])
        return True

    def merge(self, lines: Iterable[Tombstone]) -> int:
        """Take over lines of a copy that are missing here; returns how many. Raises ConfigError for another secret."""
        with locked(self.folder / "lock"):
            known = self.all()
            said = [each.said for each in known]
            fresh, previous = [], _digest(known[-1]) if known else _GENESIS
            for each in lines:
                self.marks_of(each)
                if each.said not in said:
                    fresh.append(each.model_copy(update={"previous": previous}))
                    previous = _digest(fresh[-1])
            self._append(fresh)
        return len(fresh)

    def marks_of(self, line: Tombstone) -> "Marks":
        """What turns keys into the marks of a line. Raises ConfigError where its secret is not here."""
        marks = Marks(self._secret()) if (self.folder / SECRET).exists() else None
        if marks is None or marks.id != line.mark_key:
            raise ConfigError(
                f"The secret of the tombstones (id {line.mark_key}) is not at {self.folder / SECRET}.",
                "Restore it from its backup: without it nobody can tell what was erased.",
            )
        return marks

    def test(self) -> Callable[[str], bool] | None:
        """Whether a key (hex; of a record or a subject) is one that a tombstone names; None where there are none.

        As the file is now; some 1.5 microseconds a call. Raises ConfigError where a tombstone's secret is not here.
        """
        lines = self.all()
        if not lines:
            return None
        marks = [self.marks_of(each) for each in lines][-1]
        wanted = frozenset(mark for each in lines for mark in (*each.records, *each.subjects))
        return lambda key: marks.of(key) in wanted

    def suppressed(self, keys: Iterable[str]) -> frozenset[str]:
        """Those of the keys that a tombstone names."""
        test = self.test()
        return frozenset(filter(test, keys)) if test else frozenset()

    def make_secret(self) -> bytes:
        """The secret of the marks, made where there is none: to be backed up like that of the keys, but apart."""
        path = self.folder / SECRET
        if not path.exists():
            write_atomic(path, secrets.token_bytes(32))
        return self._secret()

    def _secret(self) -> bytes:
        return (self.folder / SECRET).read_bytes()

    def _append(self, lines: list[Tombstone]) -> None:
        with storage_errors(self.path):
            _drop_torn_line(self.path)
            with self.path.open("ab") as file:
                file.write(b"".join(_line(each) + b"\n" for each in lines))
                file.flush()
                os.fsync(file.fileno())


class Marks:
    """Turns keys into marks under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.id = self._mac(b"mark-id")[:8].hex()

    def of(self, key: str) -> str:
        """The mark of a key: 32 hex digits."""
        return self._mac(b"mark\0" + key.encode())[:16].hex()

    def _mac(self, message: bytes) -> bytes:
        return hmac.digest(self._secret, message, hashlib.sha256)


def read_tombstones(path: Path) -> list[Tombstone]:
    """The lines of a file, or of a copy of it. Raises DataError as `Tombstones.all`."""
    found: list[Tombstone] = []
    with storage_errors(path):
        text = path.read_bytes()
    for number, raw in enumerate(text.split(b"\n")[:-1], 1):  # what follows the last line end was never finished
        try:
            line = Tombstone.model_validate(json.loads(raw))
        except (ValueError, ValidationError) as error:
            raise DataError(f"Line {number} of {path} is no tombstone.", "Restore the file from a copy.") from error
        if line.previous != (_digest(found[-1]) if found else _GENESIS):
            raise DataError(
                f"Line {number} of {path} does not follow the one before: a line was changed or taken out.",
                "Restore the file from a copy.",
            )
        found.append(line)
    return found


def _line(tombstone: Tombstone) -> bytes:
    return canonical_json(tombstone.model_dump(mode="json"))


def _digest(tombstone: Tombstone) -> str:
    return hashlib.sha256(_line(tombstone)).hexdigest()


def _drop_torn_line(path: Path) -> None:
    """A kill in the middle of a line leaves a part of it: it goes, its deletion writes it again."""
    if path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)
