"""What killed processes of this workspace left in the machine's temporary folder: copies for a look or a search."""

import tempfile
from pathlib import Path

from tmu.files import abandoned
from tmu.purge.files import Files
from tmu.purge.place import Place
from tmu.purge.trace import Holds
from tmu.workspace import Workspace

ORDER = 40


def places(workspace: Workspace) -> list[Place]:
    """Folders of processes that live are left alone, and those of other workspaces."""
    folder = Path(tempfile.gettempdir())
    look = Files(
        "temporary folders", folder, Holds.IMAGES, lambda scope: abandoned(folder, f"{workspace.scratch_name}*")
    )
    return [look]
