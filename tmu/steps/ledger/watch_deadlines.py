"""Look at all dates, and tell what has become due to be told."""

from typing import Any

from tmu.config import Config
from tmu.ledger import deadlines, views
from tmu.ledger.actor import SYSTEM
from tmu.ledger.place import has_ledger, opened
from tmu.workspace import Workspace

_SHOWN = ("request", "state", "days_left", "warning", "misses")


class Watched(Config):
    """told: events told now. board: open requests, the most urgent first. seconds_each: the forecast's pace."""

    told: tuple[dict[str, Any], ...] = ()
    board: tuple[dict[str, Any], ...] = ()
    seconds_each: float | None = None


def watch_deadlines(workspace: Workspace) -> Watched:
    """Warn of dates (see `deadlines.watch`), with the pace that this workspace's batches have shown so far."""
    if not has_ledger(workspace):
        return Watched()
    with opened(workspace) as ledger:
        seconds = deadlines.pace(ledger)
        told = deadlines.watch(ledger, SYSTEM, seconds)
        lines = views.board(ledger, seconds)
    board = tuple({name: line.get(name) for name in _SHOWN} for line in lines)
    return Watched(told=tuple(told), board=board, seconds_each=seconds)
