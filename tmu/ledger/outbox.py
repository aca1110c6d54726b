"""The outbox: what others are to be told, written in the transaction of what it tells of. Sent later, by `tmu.notify`.

So nothing is announced that did not happen, and nothing that happened stays unannounced. A message is written whether
or not anybody listens: the ledger knows no targets, and one that is added later still hears of the last days.
"""

import secrets
from typing import Any

from tmu.files import canonical_json
from tmu.ledger.states import State
from tmu.ledger.store import Tx

STATES = frozenset({
    State.RECEIVED, State.HELD, State.DENIED, State.CANCELLED, State.DUPLICATE, State.AWAITING_APPROVAL,
    State.APPROVED, State.COMPLETED, State.FAILED, State.PARTIALLY_FAILED,
})  # fmt: skip
"""The states that are announced when a request comes to them."""
OTHERS = frozenset({"deadline_warning", "will_miss", "cut_over", "verification_failed"})
"""What else is announced."""


def announce(tx: Tx, event: str, request: str | None = None, **facts: Any) -> None:
    """Put a message into the outbox when `tx` ends. facts: as in the log: they lead to nobody, and hold no keys."""
    if event not in STATES | OTHERS:
        raise ValueError(f"{event} is no event that is announced")
    id_ = secrets.token_hex(16)
    body = {"id": id_, "event": event, "request": request, "at": tx.at.isoformat(), "facts": facts}
    row = {"id": id_, "request_id": request, "event": event, "body": canonical_json(body).decode()}
    tx.messages.append(row | {"created_at": tx.at})


def announce_state(tx: Tx, request: str, to: State, **facts: Any) -> None:
    """Announce that a request came to a state, where that is announced."""
    if to in STATES:
        announce(tx, to, request, **facts)
