"""What tests of the purge share: a deletion whose records are erased, and a store with traces of it in memory."""

from collections.abc import Iterator

import pytest

from tests.unit.deletion.test_deletion import acknowledged
from tmu.config import PurgeConfig
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.errors import StorageError
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace
from tmu.refs import DataRef
from tmu.workspace import Workspace

BEFORE, AFTER = DataRef(uri="data", digest="1.dir"), DataRef(uri="data", digest="2.dir")


def erased(workspace: Workspace, purge: PurgeConfig = PurgeConfig()) -> Deletion:
    """A deletion in the journal whose records are erased."""
    journal, new = Journal(workspace), acknowledged()
    deletion = journal.add(new.model_copy(update={"params": new.params.model_copy(update={"purge": purge})}))
    return journal.advance(deletion, Stage.ERASED, data=AFTER)


def scope(deletion: Deletion, **changes: object) -> Scope:
    """The scope of two records of one person."""
    fields = {"request": deletion.id, "records": ("aa", "bb"), "subjects": ("cc",), "shards": (1,)}
    return Scope(**fields | {"before": BEFORE, "after": AFTER} | changes)


class Memory:
    """A store. things: addresses and what they hold. broken: it answers nothing; stubborn: it says yes and keeps it.

    needs_keys: it finds nothing without them.
    """

    def __init__(self, name: str, **things: Trace | Holds):
        self.name, self.broken, self.stubborn, self.needs_keys = name, False, False, False
        self.refuses: set[str] = set()
        self.purged: list[str] = []
        self.things = {
            address: each if isinstance(each, Trace) else Trace(
                place=name, address=address, holds=each, action=Action.DESTROY
            )
            for address, each in things.items()
        }  # fmt: skip

    def find(self, scope: Scope) -> Iterator[Trace]:
        self._answer()
        yield from list(self.things.values()) if scope.keys or not self.needs_keys else []

    def purge(self, scope: Scope, trace: Trace) -> None:
        self._answer()
        if trace.address in self.refuses:
            raise StorageError(f"503 from {trace.address}.", "Try again.")
        self.purged.append(trace.address)
        if not self.stubborn:
            self.things.pop(trace.address, None)

    def _answer(self) -> None:
        if self.broken:
            raise StorageError(f"{self.name} does not answer.", "Start it.")


def use_places(monkeypatch: pytest.MonkeyPatch, **groups: list[Memory]) -> None:
    """These stores in place of the workspace's own. groups: `at_10=[...]`, by order."""
    ordered = {int(name.removeprefix("at_")): places for name, places in groups.items()}
    monkeypatch.setattr("tmu.steps.purge.by_order", lambda workspace: dict(sorted(ordered.items())))
