"""`Files`: a store that is a set of files and folders on this machine, each of which goes as a whole."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tmu.files import storage_errors
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace

Look = Callable[[Scope], Iterable[Path]]


class Files:
    """A store. base: what addresses are relative to. look: the paths below it that hold something of a scope.

    A purge removes what a look finds at that moment, and nothing else.
    """

    def __init__(self, name: str, base: Path, holds: Holds, look: Look) -> None:
        self.name = name
        self._base, self._holds, self._look = base, holds, look

    def find(self, scope: Scope) -> Iterator[Trace]:
        """One trace a path."""
        for path in sorted(self._look(scope)):
            address = path.relative_to(self._base).as_posix()
            yield Trace(place=self.name, address=address, holds=self._holds, action=Action.DESTROY)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Remove the file, or the folder with all that is in it. Raises StorageError where the system refuses."""
        path = self._base / trace.address
        if path not in set(self._look(scope)):
            return
        with storage_errors(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
