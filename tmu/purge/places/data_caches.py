"""What is derived from the data beside them: index parts, digests of pictures, decoded pictures, MD5s of files.

What is of live shards stays.
"""

from collections.abc import Iterator

from tmu.data import contents, decoded, index
from tmu.data.digest import manifest
from tmu.purge.files import Files
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.workspace import Workspace

ORDER = 40


def places(workspace: Workspace) -> list[Place]:
    """Four caches: what belongs to no live shard links erased records to their people."""
    parts, pictures, large = workspace.index_parts, workspace.contents, workspace.decoded
    return [
        Files("index parts", parts, Holds.KEYS, lambda scope: index.dead(parts, [workspace.data])),
        Files("digests of pictures", pictures, Holds.IMAGES, lambda scope: contents.dead(pictures, [workspace.data])),
        Files("decoded pictures", large, Holds.IMAGES, lambda scope: decoded.dead(large, [workspace.data])),
        Md5s(workspace),
    ]


class Md5s:
    """MD5s of files that are not in the data any more: whoever has such a file could tell that it was here."""

    name = "MD5s of data files"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """The list, if it names an old file."""
        memo = self._workspace.md5s
        if set(memo.load().values()) - self._live():
            yield Trace(place=self.name, address=memo.read.name, holds=Holds.NAMES, action=Action.REWRITE)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Keep those of the live files."""
        memo, live = self._workspace.md5s, self._live()
        memo.save({key: md5 for key, md5 in memo.load().items() if md5 in live})

    def _live(self) -> set[str]:
        return set(manifest(self._workspace.data, self._workspace.md5s).values())
