"""Urgent requests begin soon after their approval, whichever way that came: the ledger is looked at, not the call.

Whoever orchestrates is found by the entry-point group `tmu.urgent`: a function of the workspace, which starts what
serves the urgent lane unless that is under way, and says whether it did. It is called again for as long as something
waits, so an orchestrator that is away for a while is no loss. `reconcile` stays the net below.
"""

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import entry_points

from tmu.errors import TmuError
from tmu.steps.ledger.batch import approved
from tmu.workspace import Workspace

GROUP = "tmu.urgent"
SECONDS = 10.0
"""Between two looks."""
_LOG = logging.getLogger("tmu.service")

Start = Callable[[Workspace], bool]


class Starter:
    """Looks for approved urgent requests of a workspace, and has them started."""

    def __init__(self, workspace: Workspace, starts: list[Start] | None = None) -> None:
        self.workspace, self._starts, self._said = workspace, starts, ""

    def look(self) -> None:
        """Once. A fault is logged the first time that it is met, and never passed on."""
        try:
            waiting = approved(self.workspace, "urgent")
            started = [start(self.workspace) for start in self._found()] if waiting else []
        except Exception as error:
            self._say(f"urgent requests could not be started: {_cause(error)}")
            return
        if any(started):
            _LOG.info("started the urgent lane for %d requests", len(waiting))
        self._said = ""

    async def keep_looking(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(SECONDS)
            await asyncio.to_thread(self.look)

    def _found(self) -> list[Start]:
        if self._starts is None:
            self._starts = [found.load() for found in entry_points(group=GROUP)]
        return self._starts

    def _say(self, line: str) -> None:
        if line != self._said:
            _LOG.warning("%s", line)
        self._said = line


def _cause(error: Exception) -> str:
    """Of other errors than ours the kind alone: messages quote values."""
    return str(error) if isinstance(error, TmuError) else type(error).__name__
