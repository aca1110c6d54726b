"""The journal's files: each holds the deletion that its name says."""

import shutil
from pathlib import Path

import pytest

from tests.unit.deletion.test_deletion import acknowledged
from tmu.deletion.journal import Journal
from tmu.errors import StorageError
from tmu.workspace import Workspace


def test_a_copied_entry_is_refused_by_its_file_name(tmp_path: Path) -> None:
    """It would count as unfinished for ever, and every new deletion would wait for it."""
    workspace = Workspace.create(tmp_path / "w")
    journal = Journal(workspace)
    deletion = journal.add(acknowledged())
    folder = workspace.state("requests")
    copy = f"{'1' * 16}.json"
    shutil.copy(folder / f"{deletion.id}.json", folder / copy)
    journal.withdraw(deletion)
    for looked in (journal.all, journal.refuse_a_second, lambda: journal.find("1" * 16)):
        with pytest.raises(StorageError, match=f"{copy} is damaged: it holds request {deletion.id}"):
            looked()
    (folder / copy).unlink()
    journal.refuse_a_second()
