"""The embedded digits in a workspace, imported once for each process of the tests: an import costs seconds."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from tmu.steps.import_data import import_data
from tmu.workspace import Workspace


@cache
def _imported(**layout: float) -> tempfile.TemporaryDirectory:
    kept = tempfile.TemporaryDirectory(prefix="digits-of-the-tests-")
    workspace = Workspace.create(Path(kept.name) / "w")
    import_data(workspace, "digits", {}, **layout)
    return kept


def with_digits(folder: Path, **layout: float) -> Workspace:
    """A workspace with the digits: a copy of one that was imported. layout: shares of the splits."""
    shutil.copytree(Path(_imported(**layout).name) / "w", folder, symlinks=True, dirs_exist_ok=True)
    return Workspace.open(folder)
