"""The journal of deletions: one file each, written before a stage takes effect.

A deletion once acknowledged is found here after any crash; `tmu delete --resume` resumes it. The journal
holds keys (HMAC), references and parameters only.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.earlier import from_format_1
from tmu.deletion.plan import Asked
from tmu.errors import RequestError, StorageError
from tmu.files import read_json, write_atomic
from tmu.shredder import Shredder
from tmu.stores.lock import locked
from tmu.workspace import Workspace

_ID = re.compile("[0-9a-f]{16}")


class Journal:
    """The deletions of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def add(self, deletion: Deletion) -> Deletion:
        """Acknowledge: write a new deletion, or return the one of that id that is open or completed."""
        with self._writing():
            path = self._path(deletion.id)
            if path.exists() and (there := self._read(path)).stage is not Stage.WITHDRAWN:
                return there
            return self._write(deletion)

    def advance(self, deletion: Deletion, stage: Stage, **facts: Any) -> Deletion:
        """Write that a stage is reached, with what is known since; returns the deletion as it is on disk then.

        A stage that another process has written meanwhile is not taken back. Raises RequestError where the deletion was
        withdrawn.
        """
        with self._writing():
            there = self.find(deletion.id)
            if there.stage is Stage.WITHDRAWN:
                raise RequestError(f"Request {deletion.id} was withdrawn meanwhile.", "There is nothing to resume.")
            return self._write(there.reached(stage, **facts))

    def withdraw(self, deletion: Deletion) -> Deletion:
        """Write that a deletion is taken back. Whether it may be: `tmu/steps/resume.py`."""
        with self._writing():
            return self._write(self.find(deletion.id).withdrawn())

    def shred(self, request: str) -> Deletion:
        """Replace the keys of a deletion by commitments, for ever. Again changes nothing."""
        with self._writing():
            there, shredder = self.find(request), Shredder()
            if there.shredded is not None:
                return there
            digest = there.plan.records_digest and shredder.key(there.plan.records_digest)
            return self._write(there.without_keys(shredder.all(there.every_key), digest))

    def leftovers(self) -> list[Path]:
        """Files in the journal's folder that are no entry of it, such as what a kill left half written."""
        return sorted(
            path
            for path in self._workspace.state("requests").glob("*")
            if path.is_file() and (path.suffix != ".json" or path.name.startswith("."))
        )

    def remove_leftover(self, name: str) -> None:
        """Remove one of them; nobody is writing meanwhile."""
        with self._writing():
            for path in self.leftovers():
                if path.name == name:
                    path.unlink(missing_ok=True)

    def find(self, request: str) -> Deletion:
        """The deletion of an id. Raises RequestError for an unknown one."""
        path = self._path(request)
        if not _ID.fullmatch(request) or not path.exists():
            raise RequestError("There is no request of that id.", "`tmu show requests` lists them.")
        return self._read(path)

    def known(self, request: str) -> Deletion | None:
        """The deletion of an id; None where there is none, such as after a restore of a backup from before it."""
        return self.find(request) if _ID.fullmatch(request) and self._path(request).exists() else None

    def all(self) -> list[Deletion]:
        """All deletions, oldest first."""
        found = [self._read(path) for path in self._workspace.state("requests").glob("*.json")]
        return sorted(found, key=lambda each: (each.times[Stage.ACKNOWLEDGED], each.id))

    def unfinished(self) -> list[Deletion]:
        """Deletions that were acknowledged and are neither completed nor withdrawn."""
        return [each for each in self.all() if each.open]

    def same_as(self, asked: Asked) -> Deletion | None:
        """The unfinished deletion of the very same request (keys): asking again goes on with it."""
        return next((each for each in self.unfinished() if each.asked == asked), None)

    def of_batch(self, batch: str) -> Deletion | None:
        """The deletion of a batch of the ledger, in any stage; one that was withdrawn does not count."""
        mine = (each for each in self.all() if each.asked.batch == batch and each.stage is not Stage.WITHDRAWN)
        return next(mine, None)

    def refuse_a_second(self) -> None:
        """Raise RequestError while a deletion is under way: each is planned on the data that it will change."""
        for each in self.unfinished():
            raise RequestError(f"Request {each.id} is not finished (stage `{each.stage}`).", way_on(each))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the run's lock: one process at a time carries out or withdraws. Raises RequestError while another does.

        The operating system frees the lock even after kill -9.
        """
        with locked(self._workspace.state("run.lock"), wait=False) as mine:
            if not mine:
                raise RequestError(
                    "Another process is carrying out a deletion in this workspace.",
                    "Wait until it has ended; `tmu show requests` tells how far it has come.",
                )
            yield

    def _read(self, path: Path) -> Deletion:
        try:
            raw = read_json(path)
            if raw.get("format", 1) not in (1, 2):
                raise StorageError(f"{path.name} is of a later version of tmu.", "Use that version, or a newer one.")
            found = Deletion.model_validate(raw if "format" in raw else from_format_1(raw, self._workspace.params))
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"The journal's entry {path.name} is damaged.", "Restore that file from a backup of the workspace."
            ) from error
        if found.id != path.stem:  # it would stay unfinished for ever, because progress is written by the id
            raise StorageError(
                f"The journal's entry {path.name} is damaged: it holds request {found.id}.",
                "Move it out of the folder if it is a copy; else restore that file from a backup of the workspace.",
            )
        return found

    def _write(self, deletion: Deletion) -> Deletion:
        write_atomic(self._path(deletion.id), deletion.model_dump_json(indent=2).encode())  # in the order of the fields
        return deletion

    def _writing(self) -> AbstractContextManager[bool]:
        return locked(self._workspace.state("journal.lock"))

    def _path(self, request: str) -> Path:
        return self._workspace.state("requests", f"{request}.json")


def way_on(deletion: Deletion) -> str:
    """What to do with an unfinished deletion."""
    if deletion.asked.batch:
        return f"It is batch {deletion.asked.batch} of the ledger: see why it ended, then `tmu ledger reopen` it."
    return f"Finish it first: `tmu delete --resume {deletion.id}`."
