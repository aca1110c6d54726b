"""Two more months, once, with a reason, within the first month."""

from datetime import datetime

from tmu.ledger import clock
from tmu.ledger.actor import Actor
from tmu.ledger.clocks import clock_of
from tmu.ledger.errors import ConflictError
from tmu.ledger.states import ENDED
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find, note


def extend(ledger: Ledger, request: str, reason: str, actor: Actor) -> datetime:
    """Extend a request's time; returns the new date. The requester must be informed, with the reason.

    Raises ConflictError for a second extension, after the first month, and for a request that has ended.
    """
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        if row.state in ENDED:
            raise ConflictError(f"Request {row.id} has ended: it is `{row.state}`.", "Its clock has stopped.")
        longer = clock.extend(clock_of(row), tx.at, tx.zone)
        due = clock.due(longer, tx.at, tx.zone)
        note(tx, row, "extended", reason=reason, facts={"due": due.isoformat()}, extended_at=tx.at)
        return due
