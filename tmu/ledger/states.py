"""The states of a request and the moves between them. Pure: the one table that `transition.move` obeys.

received → (unverified) → queued → (held) → planned → awaiting_approval → approved → forgetting_data → unlearning →
auditing → (escalated_retrain) → promoting → purging → verifying → completed; side exits denied, duplicate, cancelled,
partially_failed, failed. The point of no return is `forgetting_data`: from there on the data are being changed. One way
leads back: `executions.stand_back`, where a legal hold came before the first byte was touched.
"""

from enum import StrEnum

from tmu.ledger.errors import ConflictError


class State(StrEnum):
    """Where a request is."""

    RECEIVED = "received"
    UNVERIFIED = "unverified"
    QUEUED = "queued"
    HELD = "held"
    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    FORGETTING_DATA = "forgetting_data"
    UNLEARNING = "unlearning"
    AUDITING = "auditing"
    ESCALATED_RETRAIN = "escalated_retrain"
    PROMOTING = "promoting"
    PURGING = "purging"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    DENIED = "denied"
    DUPLICATE = "duplicate"
    CANCELLED = "cancelled"
    PARTIALLY_FAILED = "partially_failed"
    FAILED = "failed"


S = State
WAITING = (S.RECEIVED, S.UNVERIFIED, S.QUEUED, S.PLANNED, S.AWAITING_APPROVAL, S.APPROVED)
"""Nothing was touched yet and no hold stands in the way."""
RUNNING = (
    S.FORGETTING_DATA, S.UNLEARNING, S.AUDITING, S.ESCALATED_RETRAIN, S.PROMOTING, S.PURGING, S.VERIFYING,
)  # fmt: skip
"""Past the point of no return, in the order in which they are passed through."""
STUCK = (S.PARTIALLY_FAILED, S.FAILED)
"""Ended without success; the clock runs on, and `executions.reopen` goes on with it."""
ENDED = (S.COMPLETED, S.DENIED, S.DUPLICATE, S.CANCELLED)
"""Nothing follows."""
OPEN = (*WAITING, S.HELD, *RUNNING, *STUCK)
"""The clock runs."""

_EXITS = {S.DENIED, S.CANCELLED, S.DUPLICATE}
_BROKEN = {S.PARTIALLY_FAILED, S.FAILED}

ALLOWED: dict[State, frozenset[State]] = {
    S.RECEIVED: frozenset({S.UNVERIFIED, S.QUEUED, S.HELD} | _EXITS),
    S.UNVERIFIED: frozenset({S.QUEUED, S.HELD} | _EXITS),
    S.QUEUED: frozenset({S.PLANNED, S.HELD} | _EXITS),
    S.HELD: frozenset({S.UNVERIFIED, S.QUEUED} | _EXITS),
    S.PLANNED: frozenset({S.AWAITING_APPROVAL, S.HELD} | _EXITS),
    S.AWAITING_APPROVAL: frozenset({S.APPROVED, S.PLANNED, S.HELD} | _EXITS),
    S.APPROVED: frozenset({S.FORGETTING_DATA, S.PLANNED, S.HELD} | _EXITS),
    S.FORGETTING_DATA: frozenset(  # promoting: no training record was named; held, approved: it stood back
        {S.UNLEARNING, S.PROMOTING, S.HELD, S.APPROVED} | _BROKEN
    ),
    S.UNLEARNING: frozenset({S.AUDITING, S.ESCALATED_RETRAIN} | _BROKEN),
    S.AUDITING: frozenset({S.ESCALATED_RETRAIN, S.PROMOTING} | _BROKEN),
    S.ESCALATED_RETRAIN: frozenset({S.PROMOTING} | _BROKEN),
    S.PROMOTING: frozenset({S.PURGING} | _BROKEN),
    S.PURGING: frozenset({S.VERIFYING} | _BROKEN),
    S.VERIFYING: frozenset({S.COMPLETED} | _BROKEN),
    S.PARTIALLY_FAILED: frozenset({S.FORGETTING_DATA}),
    S.FAILED: frozenset({S.FORGETTING_DATA}),
    **{state: frozenset() for state in ENDED},
}


def check_move(request: str, old: State, new: State) -> None:
    """Raise ConflictError unless a request in state `old` may go to `new`."""
    if new in ALLOWED[old]:
        return
    if old in ENDED:
        raise ConflictError(f"Request {request} has ended: it is `{old}`.", "Nothing can be changed any more.")
    if old in (*RUNNING, *STUCK) and new in (*_EXITS, S.HELD):
        raise ConflictError(
            f"Request {request} is past the point of no return (state `{old}`).",
            "Its data are being erased or are gone: it can only be finished.",
        )
    raise ConflictError(
        f"Request {request} is `{old}`, from where it cannot become `{new}`.",
        f"From here: {', '.join(sorted(ALLOWED[old]))} (docs/ledger.md has the table).",
    )
