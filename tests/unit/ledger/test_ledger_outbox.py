"""What goes into the outbox: every announced state with its move, nothing that was undone, and no keys."""

import json

import pytest
import sqlalchemy as sa

from tests.ledger_tools import (
    ALICE,
    BOB,
    FLOW,
    KEYS,
    approved,
    asked,
    begun,
    complete,
    put,
)  # fmt: skip
from tmu.ledger import approvals, decisions, executions, holds, outbox, proof
from tmu.ledger.errors import ForbiddenError
from tmu.ledger.intake import receive_all
from tmu.ledger.log import Head
from tmu.ledger.schema import outbox as table
from tmu.ledger.states import State
from tmu.ledger.store import Ledger


def told(ledger: Ledger) -> list[tuple[str | None, str]]:
    with ledger.read() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table.c.request_id, table.c.event))]


def messages(ledger: Ledger) -> list[dict]:
    with ledger.read() as connection:
        return [json.loads(body) for body in connection.scalars(sa.select(table.c.body).order_by(table.c.seq))]


def test_a_deletion_is_told_from_first_to_last(ledger: Ledger) -> None:
    approved(ledger, "r1")
    complete(ledger, begun(ledger))
    life = [("r1", event) for event in ("received", "awaiting_approval", "approved", "completed")]
    assert told(ledger) == [*life[:3], (None, "log_head"), life[3], (None, "log_head")]


def test_every_message_carries_the_head_of_its_transaction(ledger: Ledger) -> None:
    put(ledger, "r1")
    first = str(proof.verify(ledger))
    receive_all(ledger, KEYS, [asked("r2", "r2"), asked("r3", "r3")], ALICE)
    assert [message["head"] for message in messages(ledger)] == [first, *[str(proof.verify(ledger))] * 2]


def test_a_head_is_announced_once(ledger: Ledger) -> None:
    for _ in range(2):
        with ledger.write(FLOW) as tx:
            outbox.announce_head(tx, "verification")
    put(ledger, "r1")
    with ledger.write(FLOW) as tx:
        outbox.announce_head(tx, "certificate")
    heads = [each for each in messages(ledger) if each["event"] == "log_head"]
    assert [(each["facts"]["why"], each["head"]) for each in heads] == [
        ("verification", str(Head())),
        ("certificate", str(proof.verify(ledger))),
    ]


def test_holds_denials_and_withdrawals_are_told(ledger: Ledger) -> None:
    for id_ in ("r1", "r2", "r3"):
        put(ledger, id_)
    hold, *_ = holds.hold(ledger, holds.Scope("subject", subject=KEYS.subject("r1")), "court file", ALICE)
    holds.release(ledger, hold, "over", ALICE)
    decisions.deny(ledger, "r2", "not ours", ALICE)
    decisions.cancel(ledger, "r3", "asked to", ALICE, withdrawn=True)
    assert told(ledger)[3:] == [("r1", "held"), ("r2", "denied"), ("r3", "cancelled")]


def test_a_request_under_a_hold_is_received_and_held(ledger: Ledger) -> None:
    holds.hold(ledger, holds.Scope("all"), "court file", ALICE)
    put(ledger, "r1")
    assert told(ledger) == [("r1", "received"), ("r1", "held")]


@pytest.mark.parametrize("outcome", ["failed", "partially_failed"])
def test_failures_are_told(ledger: Ledger, outcome: str) -> None:
    approved(ledger, "r1")
    executions.finish(ledger, begun(ledger).token, outcome, FLOW)
    assert told(ledger)[-2:] == [("r1", outcome), (None, "log_head")]


def test_a_message_says_what_happened_and_when_and_names_nobody(ledger: Ledger) -> None:
    digest = approved(ledger, "r1", "anna")
    last = messages(ledger)[-1]
    assert last == {
        "id": last["id"], "event": "approved", "request": "r1", "at": "2026-03-10T09:30:00+00:00",
        "facts": {"from": "awaiting_approval", "plan": digest}, "head": str(proof.verify(ledger)),
    }  # fmt: skip
    assert len({message["id"] for message in messages(ledger)}) == 3
    stored = json.dumps(messages(ledger))
    assert KEYS.subject("anna") not in stored
    assert "anna" not in stored


def test_what_is_refused_or_undone_is_not_told(ledger: Ledger) -> None:
    put(ledger, "r1", by=BOB)
    with pytest.raises(ForbiddenError):
        approvals.approve(ledger, "r1", "0" * 64, BOB)
    with pytest.raises(ZeroDivisionError), ledger.write(ALICE) as tx:
        outbox.announce(tx, "cut_over")
        tx.flush()
        raise ZeroDivisionError
    assert told(ledger) == [("r1", "received")]


def test_an_intake_that_was_on_record_is_told_once(ledger: Ledger) -> None:
    put(ledger, "r1")
    receive_all(ledger, KEYS, [asked("r1", "r1"), asked("r2", "r2"), asked("r1", "other")], ALICE)
    assert told(ledger) == [("r1", "received"), ("r2", "received")]


def test_an_event_that_nobody_knows_is_a_fault(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="no event"), ledger.write(ALICE) as tx:
        outbox.announce(tx, "aproved", "r1")


def test_every_state_is_either_told_or_a_step_on_the_way() -> None:
    steps = {State.UNVERIFIED, State.QUEUED, State.PLANNED, *(s for s in State if s.value.endswith("ing"))}
    assert set(State) - outbox.STATES == steps | {State.FORGETTING_DATA, State.ESCALATED_RETRAIN}
