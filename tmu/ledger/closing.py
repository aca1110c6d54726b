"""Ends without deletion: denied with the reason, cancelled by us, withdrawn by the requester. Before the point of no
return only; from `forgetting_data` on a request can only be finished.
"""

from tmu.ledger import entries, voiding
from tmu.ledger.actor import Actor
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find, move


def deny(ledger: Ledger, request: str, reason: str, actor: Actor) -> None:
    """Refuse a request, with the reason that the requester is told."""
    _close(ledger, request, State.DENIED, "denied", reason, actor)


def cancel(ledger: Ledger, request: str, reason: str, actor: Actor, *, withdrawn: bool = False) -> None:
    """Take a request back. withdrawn: the requester did."""
    _close(ledger, request, State.CANCELLED, "withdrawn" if withdrawn else "cancelled", reason, actor)


def _close(ledger: Ledger, request: str, to: State, event: str, reason: str, actor: Actor) -> None:
    """Once more is once: a request that ended this way stays as it is. Raises ConflictError past the point."""
    with ledger.write(actor) as tx:
        row = find(tx.connection, request)
        if row.state == to:
            return
        voiding.void(tx, row.id)
        move(tx, row, to, event=event, reason=reason)
        entries.withdraw(tx, row.id)
