"""A workspace's ledger: where the settings put it, counting months in the zone that they name."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from zoneinfo import ZoneInfo

from tmu.errors import ConfigError
from tmu.ledger.store import Ledger
from tmu.workspace import Workspace

_KEPT: ContextVar[dict[str, Ledger] | None] = ContextVar("kept", default=None)


def address(workspace: Workspace) -> str:
    """The SQLAlchemy address: setting `ledger`, else a file in the workspace."""
    return workspace.settings.ledger or f"sqlite:///{workspace.state('ledger.db')}"


def open_ledger(workspace: Workspace) -> Ledger:
    """Open the ledger, made where there is none. Close it when done."""
    try:
        zone = ZoneInfo(workspace.settings.time_zone)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            "Setting `time_zone` names no time zone.", "Write one such as UTC or Europe/Berlin."
        ) from error
    return Ledger.open(address(workspace), zone=zone)


@contextmanager
def opened(workspace: Workspace) -> Iterator[Ledger]:
    """The workspace's ledger for the length of the block; within `kept_open` the one of before."""
    kept, url = _KEPT.get(), address(workspace)
    if kept is not None and url in kept:
        yield kept[url]
        return
    ledger = open_ledger(workspace)
    if kept is not None and url.startswith("postgresql"):
        kept[url] = ledger
        yield ledger
        return
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def kept_open() -> Iterator[None]:
    """Inside, `opened` connects to a server once: a deletion notes some thirty things, each in its own transaction.

    A file is opened each time as before: who keeps it open keeps old bytes of it beside it.
    """
    kept: dict[str, Ledger] = {}
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
        for ledger in kept.values():
            ledger.close()


def has_ledger(workspace: Workspace) -> bool:
    """Whether a ledger may be there to look at; looking does not make the workspace's own."""
    return workspace.settings.ledger is not None or workspace.state("ledger.db").exists()
