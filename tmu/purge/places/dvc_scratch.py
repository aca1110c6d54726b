"""What DVC keeps beside its cache: the site cache with files' MD5s, its temporary files, its memory of stages' runs."""

import re
from collections.abc import Iterator
from pathlib import Path

from tmu.data.digest import manifest, manifest_digest
from tmu.purge.files import Files
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Holds
from tmu.workspace import Workspace

ORDER = 40
_MD5 = re.compile(rb'"([0-9a-f]{32})(?:\.dir)?"')
_LOCKS = {"lock", "rwlock", "rwlock.lock", "btime"}


def places(workspace: Workspace) -> list[Place]:
    """Each of them DVC makes anew when it needs it."""
    root, site, tmp = workspace.root, workspace.state("dvc-site"), workspace.root / ".dvc" / "tmp"
    return [
        Files("DVC's site cache", root, Holds.NAMES, lambda scope: [site] if _names_others(workspace, site) else []),
        Files("DVC's temporary files", root, Holds.NAMES, lambda scope: _unlocked(tmp)),
        RunCache(workspace),
    ]


class RunCache(Files):
    """DVC's memory of runs. It may be shared: only entries that name the revision with the records go."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        super().__init__("DVC's run cache", workspace.root, Holds.NAMES, self._entries)

    def _entries(self, scope: Scope) -> Iterator[Path]:
        wanted = scope.before.digest.removesuffix(".dir").encode()
        for path in _files(self._workspace.versions.run_cache()):
            if wanted in path.read_bytes():
                yield path


def _names_others(workspace: Workspace, folder: Path) -> bool:
    """Whether a file in it names an MD5 that is none of the live data."""
    files = list(_files(folder))
    if not files:
        return False
    live = manifest(workspace.data, workspace.md5s)
    known = {*live.values(), manifest_digest(live).removesuffix(".dir")}
    return any(found.decode() not in known for path in files for found in _MD5.findall(path.read_bytes()))


def _unlocked(folder: Path) -> list[Path]:
    """What lies there besides the files by which DVC locks."""
    return [path for path in folder.iterdir() if path.name not in _LOCKS] if folder.is_dir() else []


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
