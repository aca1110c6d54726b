"""The outbox: what others are to be told, written in the transaction of what it tells of. Sent later, by `tmu.notify`.

So nothing is announced that did not happen, and nothing that happened stays unannounced. A message is written whether
or not anybody listens: the ledger knows no targets, and one that is added later still hears of the last days. Each
message carries the log's head as it is when its transaction ends (`head`).
"""

import json
import secrets
from typing import Any, Literal

import sqlalchemy as sa

from tmu.ledger.schema import outbox
from tmu.ledger.states import State
from tmu.ledger.store import Tx

STATES = frozenset({
    State.RECEIVED, State.HELD, State.DENIED, State.CANCELLED, State.DUPLICATE, State.AWAITING_APPROVAL,
    State.APPROVED, State.COMPLETED, State.FAILED, State.PARTIALLY_FAILED,
})  # fmt: skip
"""The states that are announced when a request comes to them."""
LOG_HEAD = "log_head"
"""The event by which the log's head is told to the places that keep it outside (`tmu.heads`), and to webhooks."""
WITHDRAWN = "models_withdrawn"
"""The event by which whoever uses the models is told that versions were purged or blocked."""
OTHERS = frozenset({"deadline_warning", "will_miss", "cut_over", "verification_failed", WITHDRAWN, LOG_HEAD})
"""What else is announced."""


def announce(tx: Tx, event: str, request: str | None = None, **facts: Any) -> None:
    """Put a message into the outbox when `tx` ends. facts: as in the log: they lead to nobody, and hold no keys."""
    if event not in STATES | OTHERS:
        raise ValueError(f"{event} is no event that is announced")
    id_ = secrets.token_hex(16)
    tx.messages.append({"id": id_, "event": event, "request": request, "at": tx.at.isoformat(), "facts": facts})


def announce_head(tx: Tx, why: Literal["batch", "verification", "certificate"]) -> None:
    """Have the log's head noted outside, as it is when `tx` ends; nothing where that very head was announced last."""
    last = sa.select(outbox.c.body).where(outbox.c.event == LOG_HEAD).order_by(outbox.c.seq.desc()).limit(1)
    body = tx.execute(last).scalar()
    if body is None or json.loads(body)["head"] != str(tx.head()):
        announce(tx, LOG_HEAD, why=why)


def announce_state(tx: Tx, request: str, to: State, **facts: Any) -> None:
    """Announce that a request came to a state, where that is announced."""
    if to in STATES:
        announce(tx, to, request, **facts)
