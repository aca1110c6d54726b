"""A request's clock, read from its row."""

from tmu.ledger.clock import Clock
from tmu.ledger.transition import Request


def clock_of(row: Request) -> Clock:
    """The clock of a row of `requests`."""
    return Clock(row.received_at, row.paused_seconds, row.paused_since, row.extended_at is not None)
