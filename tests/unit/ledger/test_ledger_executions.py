"""Batches and executions: one snapshot, one batch a dataset, fencing tokens, and late finishers on record."""

import pytest

from tests.ledger_tools import (
    ALICE,
    FLOW,
    KEYS,
    STAGES,
    Travel,
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
from tmu.ledger import decisions, executions, holds, proof, views
from tmu.ledger.batches import open_batch, take_batch
from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.states import State
from tmu.ledger.store import Ledger


def test_a_batch_is_a_snapshot_and_late_ones_wait(ledger: Ledger, now: Travel) -> None:
    for name in ("r2", "r1"):
        approved(ledger, name)
        now.on(minutes=1)
    put(ledger, "waiting")
    batch = take_batch(ledger, "faces", FLOW)
    approved(ledger, "late")
    assert batch.requests == ["r2", "r1"]
    execution = executions.begin(ledger, batch.id, FLOW)
    assert execution.requests == ["r2", "r1"]
    complete(ledger, execution)
    assert (state(ledger, "late"), state(ledger, "waiting")) == (State.APPROVED, State.QUEUED)
    assert take_batch(ledger, "faces", FLOW).requests == ["late"]


def test_one_batch_at_a_time_for_a_dataset(ledger: Ledger) -> None:
    approved(ledger, "r1")
    approved(ledger, "r2", dataset="hands")
    first = take_batch(ledger, "faces", FLOW)
    approved(ledger, "r3")
    with pytest.raises(ConflictError, match=f"Batch {first.id} of dataset faces is open"):
        take_batch(ledger, "faces", FLOW)
    assert take_batch(ledger, "hands", FLOW).requests == ["r2"]
    complete(ledger, executions.begin(ledger, first.id, FLOW))
    assert take_batch(ledger, "faces", FLOW).requests == ["r3"]


def test_the_database_itself_allows_one_open_batch(ledger: Ledger) -> None:
    import sqlalchemy as sa

    approved(ledger, "r1")
    take_batch(ledger, "faces", FLOW)
    with pytest.raises(sa.exc.IntegrityError, match="UNIQUE"), ledger.write(FLOW) as tx:
        tx.execute(sa.text("INSERT INTO batches VALUES ('x', 'faces', 'normal', '2026-01-01', NULL, NULL, 3, NULL)"))


def test_lanes_and_limits(ledger: Ledger, now: Travel) -> None:
    for name in ("r1", "r2", "r3"):
        approved(ledger, name)
        now.on(minutes=1)
    approved(ledger, "u1", urgent=True)
    urgent = take_batch(ledger, "faces", FLOW, lane="urgent")
    assert urgent.requests == ["u1"]
    complete(ledger, executions.begin(ledger, urgent.id, FLOW))
    assert take_batch(ledger, "faces", FLOW, most=2).requests == ["r1", "r2"]
    with pytest.raises(RequestError, match="at least one"):
        take_batch(ledger, "faces", FLOW, most=0)


def test_no_approved_request_is_no_batch(ledger: Ledger) -> None:
    put(ledger, "r1")
    assert take_batch(ledger, "faces", FLOW) is None
    assert "batch_closed" not in events(ledger)


def test_an_execution_leads_to_completion(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    execution = begun(ledger)
    assert (execution.token, execution.attempt) == (1, 1)
    assert entry_states(ledger, "ann") == ["taken"]
    complete(ledger, execution)
    assert state(ledger, "r1") is State.COMPLETED
    assert entry_states(ledger, "ann") == ["forgotten"]
    assert events(ledger, "r1")[-7:] == ["forgetting_data", *STAGES, "completed"]
    with pytest.raises(ConflictError, match="is closed: completed"):
        executions.begin(ledger, execution.batch, FLOW)


def test_completion_comes_after_verification_only(ledger: Ledger) -> None:
    approved(ledger, "r1")
    execution = begun(ledger)
    executions.advance(ledger, execution.token, State.UNLEARNING, FLOW)
    with pytest.raises(ConflictError, match="cannot become `completed`"):
        executions.finish(ledger, execution.token, "completed", FLOW)
    assert state(ledger, "r1") is State.UNLEARNING
    executions.advance(ledger, execution.token, State.AUDITING, FLOW)  # the token is still in force


def test_stages_are_not_skipped_nor_taken_back(ledger: Ledger) -> None:
    approved(ledger, "r1")
    execution = begun(ledger)
    with pytest.raises(ConflictError, match="cannot become `auditing`"):
        executions.advance(ledger, execution.token, State.AUDITING, FLOW)
    executions.advance(ledger, execution.token, State.UNLEARNING, FLOW)
    before = proof.verify(ledger)
    executions.advance(ledger, execution.token, State.UNLEARNING, FLOW)
    executions.advance(ledger, execution.token, State.FORGETTING_DATA, FLOW)
    assert proof.verify(ledger) == before
    with pytest.raises(RequestError, match="no state of a running execution"):
        executions.advance(ledger, execution.token, State.COMPLETED, FLOW)


def test_a_gate_that_fails_escalates(ledger: Ledger) -> None:
    approved(ledger, "r1")
    execution = begun(ledger)
    for stage in ("unlearning", "auditing", "escalated_retrain", "promoting", "purging", "verifying"):
        executions.advance(ledger, execution.token, State(stage), FLOW)
    executions.finish(ledger, execution.token, "completed", FLOW)
    assert state(ledger, "r1") is State.COMPLETED


def test_a_late_finisher_is_refused_and_that_is_on_record(ledger: Ledger) -> None:
    approved(ledger, "r1")
    old = begun(ledger)
    new = executions.begin(ledger, old.batch, FLOW)
    assert (new.token, new.attempt, new.requests) == (2, 2, ["r1"])
    for stage in STAGES:
        executions.advance(ledger, new.token, stage, FLOW)
    for late in ("completed", "failed"):
        with pytest.raises(ConflictError, match="Token 1 is not in force"):
            executions.finish(ledger, old.token, late, FLOW)
        assert events(ledger)[-1] == "late_finish_refused"
        assert f'"wanted":"{late}"' in bodies(ledger)[-1]
    assert state(ledger, "r1") is State.VERIFYING
    executions.finish(ledger, new.token, "completed", FLOW)
    with pytest.raises(ConflictError):
        executions.finish(ledger, old.token, "completed", FLOW)
    assert state(ledger, "r1") is State.COMPLETED


def test_a_late_stage_is_refused_and_on_record(ledger: Ledger) -> None:
    approved(ledger, "r1")
    old = begun(ledger)
    executions.begin(ledger, old.batch, FLOW)
    with pytest.raises(ConflictError, match="publish nothing"):
        executions.advance(ledger, old.token, State.UNLEARNING, FLOW)
    assert events(ledger)[-1] == "late_advance_refused"
    assert state(ledger, "r1") is State.FORGETTING_DATA


def test_finishing_twice_is_finishing_once(ledger: Ledger) -> None:
    approved(ledger, "r1")
    execution = begun(ledger)
    complete(ledger, execution)
    before = proof.verify(ledger)
    executions.finish(ledger, execution.token, "completed", FLOW)
    assert proof.verify(ledger) == before
    with pytest.raises(ConflictError):
        executions.finish(ledger, execution.token, "failed", FLOW)
    assert state(ledger, "r1") is State.COMPLETED


def test_tokens_rise_across_batches(ledger: Ledger) -> None:
    approved(ledger, "r1")
    approved(ledger, "r2", dataset="hands")
    assert [begun(ledger).token, begun(ledger, "hands").token] == [1, 2]
    with pytest.raises(UnknownError):
        executions.finish(ledger, 9, "completed", FLOW)
    with pytest.raises(UnknownError):
        executions.begin(ledger, "nothing", FLOW)


def test_an_interruption_is_no_failure_but_there_is_a_cap(ledger: Ledger) -> None:
    approved(ledger, "r1")
    execution = begun(ledger)
    executions.advance(ledger, execution.token, State.UNLEARNING, FLOW)
    for attempt in (2, 3):
        executions.finish(ledger, execution.token, "interrupted", FLOW)
        assert state(ledger, "r1") is State.UNLEARNING
        execution = executions.begin(ledger, execution.batch, FLOW)
        assert execution.attempt == attempt
    executions.finish(ledger, execution.token, "interrupted", FLOW)
    with pytest.raises(ConflictError, match="was tried 3 times"):
        executions.begin(ledger, execution.batch, FLOW)
    executions.reopen(ledger, execution.batch, "disk replaced", ALICE)
    assert executions.begin(ledger, execution.batch, FLOW).attempt == 4


@pytest.mark.parametrize("outcome", ["failed", "partially_failed"])
def test_a_failure_keeps_the_clock_running_and_can_be_tried_again(ledger: Ledger, outcome: str) -> None:
    approved(ledger, "r1", "ann")
    execution = begun(ledger)
    executions.finish(ledger, execution.token, outcome, FLOW, "store unreachable")
    assert state(ledger, "r1") == outcome
    assert [line["request"] for line in views.board(ledger)] == ["r1"]
    approved(ledger, "r2")
    other = take_batch(ledger, "faces", FLOW)
    with pytest.raises(ConflictError, match=f"Batch {other.id}"):
        executions.reopen(ledger, execution.batch, "store is back", ALICE)
    complete(ledger, executions.begin(ledger, other.id, FLOW))
    executions.reopen(ledger, execution.batch, "store is back", ALICE)
    again = executions.begin(ledger, execution.batch, FLOW)
    assert state(ledger, "r1") is State.FORGETTING_DATA
    complete(ledger, again)
    assert entry_states(ledger, "ann") == ["forgotten"]
    with pytest.raises(ConflictError, match="closed: completed"):
        executions.reopen(ledger, execution.batch, "once more", ALICE)


def test_what_is_cancelled_before_begin_is_left_out_and_an_empty_batch_closes(ledger: Ledger) -> None:
    approved(ledger, "r1")
    batch = take_batch(ledger, "faces", FLOW)
    decisions.cancel(ledger, "r1", "letter", ALICE, withdrawn=True)
    assert executions.begin(ledger, batch.id, FLOW) is None
    approved(ledger, "r2")
    assert take_batch(ledger, "faces", FLOW).requests == ["r2"]


def test_who_waits_for_the_same_is_closed_as_duplicate(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    put(ledger, "same", "ann")
    put(ledger, "unverified", "ann", identity_verified=False)
    approved(ledger, "more", "ann", "bea", urgent=True)
    execution = begun(ledger)
    put(ledger, "after", "ann")
    complete(ledger, execution)
    assert [state(ledger, name) for name in ("same", "unverified")] == [State.DUPLICATE, State.DUPLICATE]
    assert (state(ledger, "more"), state(ledger, "after")) == (State.APPROVED, State.QUEUED)
    assert entry_states(ledger, "ann") == ["forgotten", "open"]
    assert proof.verify(ledger)


def test_a_held_duplicate_is_closed_when_it_is_released(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    put(ledger, "same", "ann")
    execution = begun(ledger)
    hold_id, stopped, _ = holds.hold(
        ledger, holds.Scope("subject", subject=KEYS.subject("ann")), "court file 12", ALICE
    )
    assert stopped == ["same"]
    complete(ledger, execution)
    assert state(ledger, "same") is State.HELD
    holds.release(ledger, hold_id, "file closed", ALICE)
    assert state(ledger, "same") is State.DUPLICATE


def test_a_hold_before_the_erasing_lets_the_batch_stand_back(ledger: Ledger) -> None:
    approved(ledger, "r1", "anna")
    approved(ledger, "r2", "ben")
    execution = begun(ledger)
    hold, stopped, _ = holds.hold(ledger, holds.Scope("subject", subject=KEYS.subject("anna")), "court", ALICE)
    assert stopped == []  # the caller learns of it when the erasing would begin
    assert executions.stand_back(ledger, execution.token, FLOW) == ["r1"]
    assert (state(ledger, "r1"), state(ledger, "r2")) == (State.HELD, State.APPROVED)
    assert entry_states(ledger, "anna") == entry_states(ledger, "ben") == ["open"]
    with pytest.raises(ConflictError, match="not in force"):
        executions.advance(ledger, execution.token, State.UNLEARNING, FLOW)
    again = begun(ledger)
    assert again.requests == ["r2"]
    complete(ledger, again)
    assert holds.release(ledger, hold, "closed", ALICE) == ["r1"]
    assert proof.verify(ledger).seq


def test_what_somebody_asked_for_meanwhile_keeps_its_own_entry(ledger: Ledger) -> None:
    approved(ledger, "r1", "anna")
    execution = begun(ledger)
    put(ledger, "r2", "anna")
    holds.hold(ledger, holds.Scope("all"), "court", ALICE)
    executions.stand_back(ledger, execution.token, FLOW)
    assert entry_states(ledger, "anna") == ["open", "taken"]  # one open entry of a key


def test_once_the_erasing_began_nothing_stands_back(ledger: Ledger) -> None:
    approved(ledger, "r1", "anna")
    execution = begun(ledger)
    executions.advance(ledger, execution.token, State.UNLEARNING, FLOW)
    holds.hold(ledger, holds.Scope("all"), "court", ALICE)
    with pytest.raises(ConflictError):
        executions.stand_back(ledger, execution.token, FLOW)
    assert state(ledger, "r1") is State.UNLEARNING


@pytest.mark.parametrize("late", ["failed", "interrupted", "partially_failed"])
def test_a_completed_batch_stays_so_when_its_run_is_marked_crashed_afterwards(ledger: Ledger, late: str) -> None:
    """The orchestrator may call a run crashed that had ended well: the renewal of its lease failed later."""
    approved(ledger, "r1", "ann")
    execution = begun(ledger)
    complete(ledger, execution)
    with pytest.raises(ConflictError, match="not in force"):
        executions.finish(ledger, execution.token, late, FLOW, "crashed")
    assert events(ledger)[-1] == "late_finish_refused"
    for again in (
        lambda: executions.begin(ledger, execution.batch, FLOW),
        lambda: executions.reopen(ledger, execution.batch, "crashed", ALICE),
        lambda: executions.begin_erasing(ledger, execution.token, FLOW),
        lambda: executions.advance(ledger, execution.token, State.UNLEARNING, FLOW),
        lambda: executions.stand_back(ledger, execution.token, FLOW),
    ):
        with pytest.raises(ConflictError):
            again()
    assert state(ledger, "r1") is State.COMPLETED
    assert entry_states(ledger, "ann") == ["forgotten"]
    assert take_batch(ledger, "faces", FLOW) is None
    with ledger.read() as connection:
        assert open_batch(connection, "faces") is None
