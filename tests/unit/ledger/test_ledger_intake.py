"""Idempotent intake: same id and payload, same row; anything else is refused. Shared keys, one entry each."""

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from tests.ledger_tools import ALICE, BOB, KEYS, START, Travel, asked, bodies, entry_states, events, put
from tmu.errors import RequestError
from tmu.ledger import decisions, intake, proof
from tmu.ledger.actor import Actor
from tmu.ledger.errors import ConflictError
from tmu.ledger.intake import Intake, receive_all
from tmu.ledger.schema import forget_entries, receipts, request_keys, requests
from tmu.ledger.states import State
from tmu.ledger.store import Ledger


def count(ledger: Ledger, table: sa.Table) -> int:
    with ledger.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def test_a_request_is_received_and_queued(ledger: Ledger) -> None:
    receipt = put(ledger, "r1", "ann", records=("img-1",))
    assert (receipt.request, receipt.state, receipt.new, receipt.merged) == ("r1", State.QUEUED, True, 0)
    assert receipt.received_at == START
    assert receipt.due == START.replace(month=4)
    assert events(ledger, "r1") == ["received", "queued"]
    assert count(ledger, request_keys) == count(ledger, receipts) == 2


def test_the_same_again_is_the_same_row(ledger: Ledger, now: Travel) -> None:
    first = put(ledger, "r1", "ann", "bea")
    now.on(hours=5)
    again = put(ledger, "r1", "bea", "ann", "bea", source="form")
    assert (again.new, again.received_at, again.due) == (False, first.received_at, first.due)
    assert count(ledger, requests) == 1
    assert count(ledger, forget_entries) == 2
    assert proof.verify(ledger).seq == 2


@pytest.mark.parametrize(
    "other",
    [
        asked("r1", "bea"),
        asked("r1", "ann", "bea"),
        asked("r1", "ann", dataset="hands"),
        asked("r1", "ann", urgent=True),
        asked("r1", "ann", identity_verified=False),
        Intake(id="r1", dataset="faces", records=(KEYS.subject("ann"),)),
    ],
)
def test_the_same_id_with_another_payload_is_refused(ledger: Ledger, other: Intake) -> None:
    put(ledger, "r1", "ann")
    with pytest.raises(ConflictError, match="r1 is already recorded with other content"):
        intake.receive(ledger, KEYS, other, ALICE)
    assert count(ledger, requests) == 1
    assert proof.verify(ledger).seq == 2


def test_another_requester_cannot_ask_about_an_id(ledger: Ledger) -> None:
    put(ledger, "r1", "ann")
    with pytest.raises(ConflictError):
        put(ledger, "r1", "ann", by=BOB)


def test_a_repeat_after_the_end_gives_the_end(ledger: Ledger) -> None:
    put(ledger, "r1", "ann")
    decisions.deny(ledger, "r1", "legal claims", BOB)
    assert put(ledger, "r1", "ann").state is State.DENIED


def test_overlapping_requests_share_an_entry_with_a_receipt_each(ledger: Ledger) -> None:
    put(ledger, "r1", "ann", "bea")
    second = put(ledger, "r2", "bea", "cid")
    assert second.merged == 1
    assert entry_states(ledger, "bea") == ["open"]
    assert count(ledger, forget_entries) == 3
    assert count(ledger, receipts) == 4
    assert put(ledger, "r3", "bea", dataset="hands").merged == 0


def test_an_entry_lives_as_long_as_somebody_asks_for_it(ledger: Ledger) -> None:
    put(ledger, "r1", "ann")
    put(ledger, "r2", "ann")
    decisions.cancel(ledger, "r1", "mistake", ALICE)
    assert entry_states(ledger, "ann") == ["open"]
    decisions.cancel(ledger, "r2", "mistake", ALICE)
    assert entry_states(ledger, "ann") == ["withdrawn"]
    assert put(ledger, "r3", "ann").merged == 0


def test_unverified_requests_wait_and_their_clock_stands(ledger: Ledger) -> None:
    receipt = put(ledger, "r1", identity_verified=False)
    assert (receipt.state, receipt.paused) == (State.UNVERIFIED, True)


def test_many_at_once_answer_each_for_itself(ledger: Ledger) -> None:
    put(ledger, "old", "ann")
    batch = [asked("old", "bea"), asked("a", "ann"), asked("b", "ann"), asked("a", "ann"), asked("b", "cid")]
    answers = receive_all(ledger, KEYS, batch, ALICE)
    assert isinstance(answers[0], ConflictError)
    assert [(each.request, each.new, each.merged) for each in answers[1:4]] == [
        ("a", True, 1),
        ("b", True, 1),
        ("a", False, 1),
    ]
    assert isinstance(answers[4], ConflictError)
    assert count(ledger, requests) == 3
    assert proof.verify(ledger).seq == 6


def test_many_at_once_are_more_than_one_statement_holds(ledger: Ledger) -> None:
    answers = receive_all(ledger, KEYS, [asked(f"r{n}", f"p{n}", f"q{n}") for n in range(450)], ALICE)
    assert all(answer.new for answer in answers)
    again = receive_all(ledger, KEYS, [asked(f"r{n}", f"p{n}", f"q{n}") for n in range(450)], ALICE)
    assert not any(answer.new for answer in again)
    assert put(ledger, "last", *(f"p{n}" for n in range(450))).merged == 450


def test_nothing_at_all_is_no_transaction_that_fails(ledger: Ledger) -> None:
    assert receive_all(ledger, KEYS, [], ALICE) == []


def test_the_work_for_one_intake_does_not_grow(ledger: Ledger) -> None:
    """As many statements for the 200th as for the first, each by an index: no table is read through."""
    engine, seen = ledger.engine, []

    def watch(conn: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    put(ledger, "warm")
    sa.event.listen(engine, "before_cursor_execute", watch)
    put(ledger, "first")
    first = len(seen)
    receive_all(ledger, KEYS, [asked(f"r{n}", f"p{n}") for n in range(200)], ALICE)
    seen.clear()
    put(ledger, "last")
    sa.event.remove(engine, "before_cursor_execute", watch)
    assert len(seen) == first
    selects = [(text, values) for text, values in seen if text.startswith("SELECT")]
    assert len(selects) >= 4
    with ledger.read() as connection:
        for text, values in selects:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            scans = {line for line in plan if line.startswith("SCAN")}
            assert scans <= {"SCAN audit_log"}, (text, plan)  # its last row, by its key


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"subjects": ["ann"]},
        {"records": [KEYS.record("x").upper()]},
        {"subjects": [KEYS.subject("x") + "\n"]},
        {"id": "maria@example.org"},
        {"id": "two words"},
        {"id": "r1\n"},
        {"id": ""},
        {"id": "x" * 65},
        {"dataset": ""},
        {"note": "please hurry"},
    ],
)
def test_what_is_no_intake_is_refused(bad: dict) -> None:
    fine = {"id": "r1", "dataset": "faces", "subjects": (KEYS.subject("ann"),)}
    Intake.model_validate(fine)
    given = {"id": "r1", "dataset": "faces"} if not bad or "records" in bad else fine
    with pytest.raises(ValidationError):
        Intake.model_validate(given | bad)


def test_the_log_and_the_requests_hold_no_key_and_no_raw_id(ledger: Ledger) -> None:
    put(ledger, "r1", "maria")
    with ledger.read() as connection:
        row = str(connection.execute(sa.select(requests)).all())
    for text in (*bodies(ledger), row):
        assert "maria" not in text
        assert KEYS.subject("maria") not in text


@pytest.mark.parametrize("name", ["", "Maria", "m@x", "a b", "x" * 65, "-x"])
def test_an_actor_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(RequestError):
        Actor(name, "token")
