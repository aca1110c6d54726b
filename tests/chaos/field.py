"""What a cell works on, the deletion that it disturbs, and where that is in the ledger."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from tests.chaos.facts import Before
from tests.chaos.prefect_side import Prefect
from tests.chaos.servers import Servers
from tmu.errors import StorageError
from tmu.ledger.place import opened
from tmu.ledger.schema import executions, requests
from tmu.workspace import Workspace


@dataclass
class Field:
    """What every cell works on. effects: of an undisturbed deletion, by stage. no_disk: why no disk can be filled.

    seconds: how long a deletion may take after a fault.
    """

    servers: Servers
    prefect: Prefect
    folder: Path
    no_disk: str | None = None
    effects: dict[str, int] = field(default_factory=dict)
    seconds: float = 300.0

    @property
    def workspace(self) -> Workspace:
        """The workspace, opened anew: nothing is remembered from before a fault."""
        return Workspace.open(self.servers.stack.home)


@dataclass
class Deletion:
    """One approved request of one person (subject key). frozen: what the hook noted; log: what was done, in order."""

    request: str
    person: str
    known: Before
    log: list[dict[str, Any]] = field(default_factory=list)
    frozen: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def note(self, what: str, /, **more: Any) -> None:
        """Put something on the cell's log, with the seconds since the deletion was asked for."""
        self.log.append({"at": round(time.monotonic() - self.began, 2), "did": what, **more})

    @property
    def flow(self) -> psutil.Process:
        """The frozen flow process."""
        return psutil.Process(self.frozen["pid"])


def state(ground: Field, deletion: Deletion) -> str:
    """Where the request is; waits for a ledger that is away."""
    wanted = sa.select(requests.c.state).where(requests.c.id == deletion.request)
    deadline = time.monotonic() + 120
    while True:
        try:
            with opened(ground.workspace) as ledger, ledger.read() as connection:
                return str(connection.scalar(wanted))
        except StorageError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def attempts_of(field: Field, deletion: Deletion) -> int:
    """How many attempts at the request's batch have begun."""
    wanted = sa.select(sa.func.count()).where(executions.c.batch_id == batch_of(field, deletion))
    with opened(field.workspace) as ledger, ledger.read() as connection:
        return int(connection.scalar(wanted))


def batch_of(field: Field, deletion: Deletion) -> str:
    """The batch that serves the request."""
    with opened(field.workspace) as ledger, ledger.read() as connection:
        return str(connection.scalar(sa.select(requests.c.batch_id).where(requests.c.id == deletion.request)))


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.3)
