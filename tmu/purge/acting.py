"""`Acting`: a record's open traces are acted on, store by store; what was done is written down on the way."""

import time
from collections.abc import Callable

from tmu.errors import StorageError
from tmu.provenance import now
from tmu.purge.place import Place
from tmu.purge.record import Record, Step, write_record
from tmu.workspace import Workspace

Report = Callable[[int, int], None]
_EVERY = 0.5  # seconds between two writings: a kill between them costs repeating what was done since
_PATIENCE = 3  # refusals in a row, after which the rest of a store waits for the next run


class Acting:
    """One run over a record. failed: whether a store refused anything."""

    def __init__(self, workspace: Workspace, record: Record, report: Report) -> None:
        self.failed, self._record, self._steps = False, record, list(record.steps)
        self._workspace, self._report = workspace, report
        self._all, self._done, self._written = len(record.left), 0, time.monotonic()

    @property
    def record(self) -> Record:
        """As it is now."""
        return self._record.with_(steps=tuple(self._steps))

    def act(self, place: Place) -> None:
        """All that is left of one store. Refusals are written down with their reason."""
        refused = 0
        for position, step in enumerate(self._steps):
            if step.trace.place != place.name or not step.left:
                continue
            if refused == _PATIENCE:
                break
            self._steps[position] = self._acted(place, step)
            refused = refused + 1 if self._steps[position].refused else 0
            self._advance()

    def ended(self) -> Record:
        """The record, written; with the time, if nothing is left, and this run or none has come so far."""
        record = self.record
        ended = not record.left and (self._done or not record.acted)
        return write_record(self._workspace, record.with_(acted=now()) if ended else record)

    def _acted(self, place: Place, step: Step) -> Step:
        assert self._record.scope is not None  # without one no step is left
        try:
            place.purge(self._record.scope, step.trace)
        except StorageError as error:
            self.failed = True
            return step.acted(refusal=error.what)
        return step.acted()

    def _advance(self) -> None:
        self._done += 1
        self._report(self._done, self._all)
        if time.monotonic() - self._written >= _EVERY:
            write_record(self._workspace, self.record)
            self._written = time.monotonic()
