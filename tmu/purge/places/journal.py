"""The journal: the keys that deletions were asked for."""

from collections.abc import Iterator

from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.purge.held import why_held
from tmu.purge.place import Place
from tmu.purge.remembered import remember_purged
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.workspace import Workspace

ORDER = 90
_OPEN = "another deletion, which is open, names a person of this one"
_ENTRY, _FILE = "request ", "file "


def places(workspace: Workspace) -> list[Place]:
    """The workspace's own."""
    return [JournalKeys(workspace)]


class JournalKeys:
    """One entry a deletion; and files that a kill left beside them."""

    name = "journal"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._journal = workspace, Journal(workspace)

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Entries and half-written files with keys of the scope."""
        held = why_held(self._workspace, scope)
        for each in self._journal.all():
            if self._leads(each, scope):
                mine = each.id == scope.request or not each.open
                yield self._trace(f"{_ENTRY}{each.id}", Action.SHRED, held or ("" if mine else _OPEN))
        for path in self._journal.leftovers():
            text = path.read_bytes()
            if any(key.encode() in text for key in scope.every_key):
                yield self._trace(f"{_FILE}{path.name}", Action.DESTROY, held)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Shred an entry, remove a file."""
        if trace.stays:
            return
        if trace.address.startswith(_FILE):
            self._journal.remove_leftover(trace.address.removeprefix(_FILE))
        else:
            if trace.address == f"{_ENTRY}{scope.request}":
                remember_purged(self._workspace, scope)
            self._journal.shred(trace.address.removeprefix(_ENTRY))

    def _leads(self, deletion: Deletion, scope: Scope) -> bool:
        if deletion.id == scope.request:
            return deletion.shredded is None
        return not deletion.every_key.isdisjoint(scope.every_key)

    def _trace(self, where: str, action: Action, why: str) -> Trace:
        return Trace(place=self.name, address=where, holds=Holds.KEYS, action=Action.KEEP if why else action, why=why)
