"""Legal holds: the receipt is on record, nothing is touched, and the clock runs on."""

import pytest

from tests.ledger_tools import (
    ALICE,
    BOB,
    FLOW,
    KEYS,
    PLAN,
    Travel,
    approve_again,
    approved,
    begun,
    bodies,
    complete,
    entry_states,
    events,
    put,
    state,
)
from tmu.errors import RequestError
from tmu.ledger import batches, closing, executions, holds, plans, views
from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.holds import Scope
from tmu.ledger.states import State
from tmu.ledger.store import Ledger

ANN = Scope("subject", subject=KEYS.subject("ann"))
SCOPES = [Scope("all"), Scope("dataset", dataset="faces"), ANN]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_held_request_is_received_with_its_receipt(ledger: Ledger, scope: Scope) -> None:
    holds.hold(ledger, scope, "court file 12", BOB)
    receipt = put(ledger, "r1", "ann")
    assert (receipt.state, receipt.new) == (State.HELD, True)
    assert entry_states(ledger, "ann") == ["open"]
    assert events(ledger, "r1") == ["received", "queued", "held"]
    with pytest.raises(ConflictError, match="is `held`"):
        plans.bind_plan(ledger, "r1", PLAN, subjects=[], actor=FLOW)


def test_a_hold_covers_what_it_names_and_nothing_else(ledger: Ledger) -> None:
    holds.hold(ledger, ANN, "court file 12", BOB)
    holds.hold(ledger, Scope("dataset", dataset="hands"), "court file 13", BOB)
    assert put(ledger, "r1", "bea").state is State.QUEUED
    assert put(ledger, "r2", "bea", "ann").state is State.HELD
    assert put(ledger, "r3", "bea", dataset="hands").state is State.HELD


@pytest.mark.parametrize("scope", SCOPES)
def test_a_hold_stops_what_waits_and_voids_its_approval(ledger: Ledger, scope: Scope) -> None:
    digest = approved(ledger, "r1", "ann")
    put(ledger, "other", "bea", dataset="hands")
    _, stopped = holds.hold(ledger, scope, "court file 12", BOB)
    assert sorted(stopped) == (["other", "r1"] if scope.kind == "all" else ["r1"])
    shown = views.show(ledger, "r1")
    assert (shown["state"], shown["plan"]) == ("held", None)
    assert shown["approvals"][0]["plan_hash"] == digest
    assert shown["approvals"][0]["voided_at"] is not None
    assert batches.take_batch(ledger, "faces", FLOW) is None


def test_a_hold_takes_a_request_out_of_a_batch_that_has_not_begun(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    approved(ledger, "r2", "bea")
    batch = batches.take_batch(ledger, "faces", FLOW)
    holds.hold(ledger, ANN, "court file 12", BOB)
    assert executions.begin(ledger, batch.id, FLOW).requests == ["r2"]
    assert state(ledger, "r1") is State.HELD


def test_a_hold_comes_too_late_for_what_is_being_executed(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    execution = begun(ledger)
    assert holds.hold(ledger, ANN, "court file 12", BOB)[1] == []
    complete(ledger, execution)
    assert state(ledger, "r1") is State.COMPLETED


def test_a_hold_on_a_person_behind_a_record_is_seen_by_the_plan(ledger: Ledger) -> None:
    holds.hold(ledger, ANN, "court file 12", BOB)
    put(ledger, "r1", "bea", records=("img-of-ann",))
    bound = plans.bind_plan(ledger, "r1", PLAN, subjects=[KEYS.subject("ann")], actor=FLOW)
    assert (bound.state, bound.changed) == (State.HELD, False)
    assert views.show(ledger, "r1")["plan"] is None


def test_a_later_hold_finds_the_people_behind_the_records_of_a_plan(ledger: Ledger) -> None:
    put(ledger, "r1", "bea", records=("img-of-ann",))
    plans.bind_plan(ledger, "r1", PLAN, subjects=[KEYS.subject("ann")], actor=FLOW)
    assert holds.hold(ledger, ANN, "court file 12", BOB)[1] == ["r1"]


def test_released_requests_are_planned_anew(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    put(ledger, "r2", "ann", identity_verified=False)
    hold_id, stopped = holds.hold(ledger, ANN, "court file 12", BOB)
    assert stopped == ["r1", "r2"]
    assert holds.release(ledger, hold_id, "file closed", BOB) == ["r1", "r2"]
    assert (state(ledger, "r1"), state(ledger, "r2")) == (State.QUEUED, State.UNVERIFIED)
    approve_again(ledger, "r1")
    assert state(ledger, "r1") is State.APPROVED


def test_what_two_holds_cover_waits_for_both(ledger: Ledger) -> None:
    first, _ = holds.hold(ledger, ANN, "court file 12", BOB)
    second, _ = holds.hold(ledger, Scope("all"), "incident", BOB)
    put(ledger, "r1", "ann")
    put(ledger, "r2", "bea")
    assert holds.release(ledger, second, "over", BOB) == ["r2"]
    assert holds.release(ledger, first, "over", BOB) == ["r1"]


def test_a_hold_is_released_once_and_must_exist(ledger: Ledger) -> None:
    hold_id, _ = holds.hold(ledger, ANN, "court file 12", BOB)
    assert [each["id"] for each in views.active_holds(ledger)] == [hold_id]
    holds.release(ledger, hold_id, "over", BOB)
    assert views.active_holds(ledger) == []
    with pytest.raises(ConflictError, match="released before"):
        holds.release(ledger, hold_id, "over", BOB)
    with pytest.raises(UnknownError):
        holds.release(ledger, "0" * 32, "over", BOB)


def test_a_held_request_may_be_denied_or_withdrawn(ledger: Ledger) -> None:
    holds.hold(ledger, ANN, "court file 12", BOB)
    put(ledger, "r1", "ann")
    put(ledger, "r2", "ann")
    closing.deny(ledger, "r1", "legal claims", BOB)
    closing.cancel(ledger, "r2", "letter", ALICE, withdrawn=True)
    assert entry_states(ledger, "ann") == ["withdrawn"]


def test_the_clock_runs_on_under_a_hold(ledger: Ledger, now: Travel) -> None:
    holds.hold(ledger, ANN, "court file 12", BOB)
    due = put(ledger, "r1", "ann").due
    now.on(days=26)
    (line,) = views.board(ledger)
    assert (line["due"], line["warning"], line["state"]) == (due.isoformat(), 80, "held")


def test_the_log_names_the_hold_but_nobody(ledger: Ledger) -> None:
    holds.hold(ledger, ANN, "court file 12", BOB)
    (body,) = bodies(ledger)
    assert KEYS.subject("ann") not in body
    assert "court file 12" in body


@pytest.mark.parametrize(
    "fields", [("all", "faces", None), ("dataset", None, None), ("subject", "faces", "k"), ("subject", None, None)]
)
def test_a_scope_that_is_not_clear_is_refused(fields: tuple) -> None:
    with pytest.raises(RequestError, match="scope is not clear"):
        Scope(*fields)
