"""Temporary folders: what MLflow, DVC and tmu leave there, such as whole copies of loaded models.

Only files of this account are looked at, and only those with a name that these programs or Python's `tempfile` give.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tmu.search.ground import Found, Ground
from tmu.search.haystacks.walk import files_below
from tmu.search.look import Thing
from tmu.search.report import Access, NotLookedAt

_NAMES = re.compile(r"tmp[a-z0-9_]{6,12}.*|.*(tmu|mlflow|dvc|prefect).*|\..+\.building-\d+-\w+")


class Temporary:
    """See the module."""

    name = "temporary folders"

    def found(self, ground: Ground) -> Iterator[Found]:
        """Each folder's things of this account."""
        for folder in temporary_folders(ground):
            try:
                entries = sorted(os.scandir(folder), key=lambda each: each.name)
            except OSError as error:
                yield NotLookedAt(haystack=self.name, address=str(folder), why=error.strerror or "it is closed")
                continue
            for entry in entries:
                yield from self._entry(Path(entry.path), ground)

    def _entry(self, path: Path, ground: Ground) -> Iterator[Found]:
        try:
            ours = path.lstat().st_uid == os.getuid() and _NAMES.fullmatch(path.name)
        except OSError:
            return  # it went meanwhile
        if not ours or ground.is_own(path) or ground.root.is_relative_to(path) or path.is_symlink():
            return
        if path.is_dir():
            yield from files_below(path, lambda _: self.name, f"{path}/", ground.is_own)
        elif path.is_file():
            yield Thing(self.name, str(path), path, named=path.name)

    def accesses(self, ground: Ground) -> Iterator[Access]:
        """Nothing to say: a temporary folder is open to all."""
        return iter(())


def temporary_folders(ground: Ground) -> list[Path]:
    """Those of the setting; else TMPDIR, and the machine's own."""
    found = ground.workspace.settings.search_temporary
    found = found or (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))  # noqa: S108
    return [each for each in dict.fromkeys(path.resolve() for path in found) if each.is_dir()]
