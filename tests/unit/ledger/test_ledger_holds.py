"""Legal holds: the receipt is on record, nothing is touched, and the clock runs on."""

import json

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
from tmu.ledger import approvals, batches, decisions, executions, holds, plans, proof, serving, views
from tmu.ledger.errors import ConflictError, HeldError, UnknownError
from tmu.ledger.holds import Scope
from tmu.ledger.intake import Intake, receive
from tmu.ledger.statement import statement
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
    _, stopped, _ = holds.hold(ledger, scope, "court file 12", BOB)
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
    hold_id, stopped, _ = holds.hold(ledger, ANN, "court file 12", BOB)
    assert stopped == ["r1", "r2"]
    assert holds.release(ledger, hold_id, "file closed", BOB) == ["r1", "r2"]
    assert (state(ledger, "r1"), state(ledger, "r2")) == (State.QUEUED, State.UNVERIFIED)
    approve_again(ledger, "r1")
    assert state(ledger, "r1") is State.APPROVED


def test_what_two_holds_cover_waits_for_both(ledger: Ledger) -> None:
    first, *_ = holds.hold(ledger, ANN, "court file 12", BOB)
    second, *_ = holds.hold(ledger, Scope("all"), "incident", BOB)
    put(ledger, "r1", "ann")
    put(ledger, "r2", "bea")
    assert holds.release(ledger, second, "over", BOB) == ["r2"]
    assert holds.release(ledger, first, "over", BOB) == ["r1"]


def test_a_hold_is_released_once_and_must_exist(ledger: Ledger) -> None:
    hold_id, *_ = holds.hold(ledger, ANN, "court file 12", BOB)
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
    decisions.deny(ledger, "r1", "legal claims", BOB)
    decisions.cancel(ledger, "r2", "letter", ALICE, withdrawn=True)
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


# the order of hold and erasing: who comes first is decided in one transaction


def _by_record(ledger: Ledger, *, people: tuple[str, ...] = ("ann",)) -> executions.Execution:
    """A begun request that names a record alone; its plan found the people behind it."""
    intake = Intake(id="r1", dataset="faces", records=(KEYS.record("img-1"),))
    receive(ledger, KEYS, intake, ALICE)
    plans.bind_plan(ledger, "r1", PLAN, subjects=[KEYS.subject(name) for name in people], actor=FLOW)
    approvals.approve(ledger, "r1", plans.ask_approval(ledger, "r1", FLOW), BOB)
    return begun(ledger)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("by_record", [False, True], ids=["person named", "record named"])
def test_a_hold_between_approval_and_erasing_stops_the_erasing(ledger: Ledger, scope: Scope, by_record: bool) -> None:
    if by_record:
        execution = _by_record(ledger)
    else:
        approved(ledger, "r1", "ann")
        execution = begun(ledger)
    assert holds.hold(ledger, scope, "court file 12", BOB)[1:] == ([], [])  # neither stopped yet nor too late
    with pytest.raises(HeldError, match="covers 1 of 1 requests: nothing was erased"):
        executions.begin_erasing(ledger, execution.token, FLOW)
    assert executions.stand_back(ledger, execution.token, FLOW) == ["r1"]
    assert state(ledger, "r1") is State.HELD
    assert executions.ERASING not in events(ledger)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("by_record", [False, True], ids=["person named", "record named"])
def test_a_hold_between_erasing_and_promotion_is_too_late_and_flags_it(
    ledger: Ledger, scope: Scope, by_record: bool
) -> None:
    if by_record:
        execution = _by_record(ledger)
    else:
        approved(ledger, "r1", "ann")
        execution = begun(ledger)
    executions.begin_erasing(ledger, execution.token, FLOW)
    placed = holds.hold(ledger, scope, "court file 12", BOB)
    assert placed[1:] == ([], ["r1"])
    assert events(ledger, "r1")[-1] == holds.TOO_LATE
    executions.begin_erasing(ledger, execution.token, FLOW)  # a resumed attempt: what was begun is finished
    for stage in (State.UNLEARNING, State.AUDITING, State.PROMOTING):
        executions.advance(ledger, execution.token, stage, FLOW)
        with pytest.raises(ConflictError):
            executions.stand_back(ledger, execution.token, FLOW)
    with executions.publishing(ledger, execution.token, FLOW, "cut_over") as tx:
        serving.record(tx, "faces", 2, "0" * 64, batch=execution.batch)
    flag = json.loads(bodies(ledger)[-2])
    assert (flag["event"], flag["facts"]["requests"]) == (executions.UNDER_HOLD, ["r1"])
    for stage in (State.PURGING, State.VERIFYING):
        executions.advance(ledger, execution.token, stage, FLOW)
    executions.finish(ledger, execution.token, "completed", FLOW)
    assert [each["hold"] for each in statement(ledger, "r1")["holds_too_late"]] == [placed.id]
    assert proof.verify(ledger)


def test_an_attempt_that_was_killed_before_the_first_byte_can_still_stand_back(ledger: Ledger) -> None:
    """The ledger says too late, to be safe; the next attempt looks at the data, which are whole."""
    approved(ledger, "r1", "ann")
    first = begun(ledger)
    executions.begin_erasing(ledger, first.token, FLOW)
    assert holds.hold(ledger, ANN, "court file 12", BOB).too_late == ["r1"]
    second = executions.begin(ledger, first.batch, FLOW)
    assert executions.stand_back(ledger, second.token, FLOW) == ["r1"]
    assert state(ledger, "r1") is State.HELD


def test_a_promotion_without_a_hold_carries_no_flag(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    execution = begun(ledger)
    holds.hold(ledger, Scope("subject", subject=KEYS.subject("bea")), "court file 13", BOB)
    executions.begin_erasing(ledger, execution.token, FLOW)
    with executions.publishing(ledger, execution.token, FLOW, "cut_over"):
        pass
    assert executions.UNDER_HOLD not in events(ledger)


def test_a_hold_that_came_and_went_before_the_erasing_stops_nothing(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    execution = begun(ledger)
    hold_id, *_ = holds.hold(ledger, ANN, "court file 12", BOB)
    holds.release(ledger, hold_id, "over", BOB)
    executions.begin_erasing(ledger, execution.token, FLOW)
    assert events(ledger)[-1] == executions.ERASING


def test_an_old_attempt_begins_no_erasing(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    old = begun(ledger)
    new = executions.begin(ledger, old.batch, FLOW)
    with pytest.raises(ConflictError, match="not in force"):
        executions.begin_erasing(ledger, old.token, FLOW)
    assert events(ledger)[-1] == "late_advance_refused"
    executions.begin_erasing(ledger, new.token, FLOW)


def test_what_failed_after_its_erasing_began_is_too_late_for_a_hold(ledger: Ledger) -> None:
    for erasing in (False, True):
        name = f"r{erasing}"
        approved(ledger, name, "ann")
        execution = begun(ledger)
        if erasing:
            executions.begin_erasing(ledger, execution.token, FLOW)
        executions.finish(ledger, execution.token, "failed", FLOW, "disk full")
    placed = holds.hold(ledger, ANN, "court file 12", BOB)
    assert placed.too_late == ["rTrue"]
    (first,) = [each["batch"] for each in views.listing(ledger) if each["request"] == "rFalse"]
    executions.reopen(ledger, first, "disk enlarged", ALICE)
    again = executions.begin(ledger, first, FLOW)
    with pytest.raises(HeldError):
        executions.begin_erasing(ledger, again.token, FLOW)


def test_a_hold_on_a_person_whose_record_was_named_waits_for_the_plan(ledger: Ledger) -> None:
    """Before the plan nobody knows whose record it is: the hold is seen when it is planned, whichever came first."""
    receive(ledger, KEYS, Intake(id="r1", dataset="faces", records=(KEYS.record("img-1"),)), ALICE)
    assert holds.hold(ledger, ANN, "court file 12", BOB).stopped == []
    assert plans.bind_plan(ledger, "r1", PLAN, subjects=[KEYS.subject("ann")], actor=FLOW).state is State.HELD
