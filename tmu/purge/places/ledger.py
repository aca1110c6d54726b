"""The ledger: keys and digests that lead to the person, and the old bytes of their rows in the database's files."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tmu.deletion.journal import Journal
from tmu.ledger.actor import SYSTEM
from tmu.ledger.entries import close_if_forgotten
from tmu.ledger.place import address, has_ledger, open_ledger
from tmu.ledger.schema import requests
from tmu.ledger.shred import Leads, known_keys, leads, rewritten, shred, shred_hold, to_rewrite
from tmu.ledger.states import WAITING
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find
from tmu.purge.held import why_held
from tmu.purge.place import Place
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.workspace import Workspace

ORDER = 90
_LIKE_A_KEY = re.compile(rb"(?=([0-9a-f]{32}))")
_REQUEST, _HOLD, _FILES, _BEYOND = "request ", "hold ", "files of the database", "beyond: "
_OPEN = "another request, which is open, names a person of this deletion"
_IN_FORCE = "a legal hold is in force"
_BEFORE = "all that it names was forgotten before the ledger was restored from a backup"
_BACKUPS = "backups of the database"


def places(workspace: Workspace) -> list[Place]:
    """The ledger, where there is one."""
    return [LedgerKeys(workspace)] if has_ledger(workspace) else []


class LedgerKeys:
    """Rows are shredded one request at a time; then the files are rewritten once."""

    name = "ledger"

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, scope: Scope) -> Iterator[Trace]:
        """Requests and holds that lead to the scope's people, old bytes, and what is beyond this database."""
        with closing(open_ledger(self._workspace)) as ledger:
            found, waiting, known = self._looked(ledger, scope)
            held = why_held(self._workspace, scope)
            for id_ in (*found.served, *found.named):
                yield self._trace(f"{_REQUEST}{id_}", held)
            for id_ in found.released:
                yield self._trace(f"{_HOLD}{id_}", held)
            for id_ in found.open_requests:
                yield self._trace(f"{_REQUEST}{id_}", _OPEN)
            for id_ in found.holds:
                yield self._trace(f"{_HOLD}{id_}", _IN_FORCE)
            shreds = found.served or found.named or found.released
            if not held and (shreds or waiting or self._in_files(scope.every_key - known)):
                yield Trace(place=self.name, address=_FILES, holds=Holds.KEYS, action=Action.REWRITE)
            yield from self._beyond(ledger, scope)

    def purge(self, scope: Scope, trace: Trace) -> None:
        """Shred a request or a hold, or rewrite the files."""
        if trace.stays:
            return
        with closing(open_ledger(self._workspace)) as ledger:
            if trace.address == _FILES:
                with ledger.read() as connection:
                    waiting = to_rewrite(connection)
                ledger.rewrite()
                with ledger.write(SYSTEM) as tx:
                    rewritten(tx, waiting)
            elif trace.address.startswith(_HOLD):
                with ledger.write(SYSTEM) as tx:
                    shred_hold(tx, trace.address.removeprefix(_HOLD))
            else:
                self._shred(ledger, scope, trace.address.removeprefix(_REQUEST))

    def _looked(self, ledger: Ledger, scope: Scope) -> tuple[Leads, list[str], set[str]]:
        with ledger.read() as connection:
            found = leads(connection, self._served(connection, scope), scope.every_key)
            return found, to_rewrite(connection), known_keys(connection)

    def _shred(self, ledger: Ledger, scope: Scope, request: str) -> None:
        """Of a request that was served all goes; of another one that has ended, the keys of the scope."""
        with ledger.write(SYSTEM) as tx:
            found = leads(tx.connection, self._served(tx.connection, scope), scope.every_key)
            if request in found.served:
                shred(tx, request)
                shred(tx, request, scope.every_key)  # a row that came back
                row = find(tx.connection, request)
                if row.state in WAITING and row.batch_id is None:  # of a backup: the next batch must not take it
                    close_if_forgotten(tx, row, _BEFORE)
            elif request in found.named:
                shred(tx, request, scope.every_key)

    def _served(self, connection: sa.Connection, scope: Scope) -> frozenset[str]:
        """The requests of the deletion: named by the scope, and of its batch."""
        deletion = Journal(self._workspace).known(scope.request)
        batch = deletion and deletion.asked.batch
        mine = connection.scalars(sa.select(requests.c.id).where(requests.c.batch_id == batch)) if batch else ()
        return frozenset((*scope.requests, *mine))

    def _trace(self, where: str, why: str) -> Trace:
        action = Action.KEEP if why else Action.SHRED
        return Trace(place=self.name, address=where, holds=Holds.KEYS, action=action, why=why)

    def _in_files(self, keys: frozenset[str]) -> bool:
        """Whether a key stands in the file of SQLite that stands in no row; another server's files are not ours."""
        file = make_url(address(self._workspace)).database
        if not address(self._workspace).startswith("sqlite") or not file:
            return False
        paths = [path for path in map(Path, (file, f"{file}-wal")) if path.exists()]
        return any(not keys.isdisjoint(_like_keys(path.read_bytes())) for path in paths)

    def _beyond(self, ledger: Ledger, scope: Scope) -> Iterator[Trace]:
        """What expires by itself: `ledger_backup_days` after the keys were destroyed in the tables, or after today."""
        days, now = self._workspace.settings.ledger_backup_days, ledger.now()
        with ledger.read() as connection:
            mine = requests.c.id.in_(self._served(connection, scope))
            began = connection.scalar(sa.select(sa.func.min(requests.c.shredded_at)).where(mine)) or now
        if days and began + timedelta(days=days) <= now:
            return
        until = (began + timedelta(days=days)).date().isoformat() if days else ""
        for what in [*ledger.beyond(), *([_BACKUPS] if days else [])]:
            yield Trace(
                place=self.name,
                address=f"{_BEYOND}{what}",
                holds=Holds.KEYS,
                action=Action.EXPIRE,
                why="tmu cannot reach it; setting `ledger_backup_days` says when it is gone",
                until=until,
            )


def _like_keys(text: bytes) -> Iterator[str]:
    """All that can be a key in a file; what stands beside it may be hexadecimal, too."""
    return (match[1].decode() for match in _LIKE_A_KEY.finditer(text))
