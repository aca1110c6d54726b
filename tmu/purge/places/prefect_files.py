"""What Prefect wrote into the workspace: stored results of tasks, and the database of a server that lay there."""

from collections.abc import Iterator
from pathlib import Path

from tmu.prefect_api import api_of
from tmu.purge.files import Files
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Holds
from tmu.workspace import Workspace

ORDER = 40


def places(workspace: Workspace) -> list[Place]:
    """Files that name a key, an artifact that goes, or a model that learned them."""
    folder = workspace.state("prefect")

    def look(scope: Scope) -> Iterator[Path]:
        wanted = [word.encode() for word in (*scope.keys, *scope.artifacts, *scope.learned, scope.before.digest)]
        used = api_of(workspace.settings) is not None  # then the database may be the one of that server
        for path in (folder / "results" if used else folder).rglob("*"):
            if path.is_file() and _holds(path, wanted):
                yield path

    return [Files("Prefect's files", workspace.root, Holds.KEYS, look)]


def _holds(path: Path, wanted: list[bytes]) -> bool:
    content = path.read_bytes()
    return any(word in content for word in wanted)
