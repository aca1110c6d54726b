"""Identity, denial, cancelling, extension, and the words of reasons."""

from datetime import timedelta

import pytest

from tests.ledger_tools import ALICE, BOB, START, Travel, approved, begun, bodies, events, put, state
from tmu.errors import RequestError
from tmu.ledger import decisions, holds, proof, views
from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.words import MOST


def test_the_clock_runs_on_once_identity_is_known(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1", identity_verified=False)
    now.on(days=5)
    assert decisions.verify_identity(ledger, "r1", BOB, "code by post") is State.QUEUED
    shown = views.show(ledger, "r1")
    assert shown["due"] == (START.replace(month=4) + timedelta(days=5)).isoformat()
    assert shown["paused"] is False
    now.on(days=1)
    assert decisions.verify_identity(ledger, "r1", BOB) is State.QUEUED
    assert events(ledger, "r1") == ["received", "unverified", "identity_verified"]


def test_identity_can_be_proved_under_a_hold(ledger: Ledger, now: Travel) -> None:
    hold_id, *_ = holds.hold(ledger, holds.Scope("all"), "incident", BOB)
    put(ledger, "r1", identity_verified=False)
    now.on(days=5)
    assert decisions.verify_identity(ledger, "r1", BOB) is State.HELD
    assert views.show(ledger, "r1")["paused"] is False
    holds.release(ledger, hold_id, "over", BOB)
    assert state(ledger, "r1") is State.QUEUED


def test_an_ended_request_waits_for_no_identity(ledger: Ledger) -> None:
    put(ledger, "r1", identity_verified=False)
    decisions.deny(ledger, "r1", "identity not shown", BOB)
    with pytest.raises(ConflictError, match="is `denied`"):
        decisions.verify_identity(ledger, "r1", BOB)


def test_a_denial_is_on_record_with_its_reason_and_final(ledger: Ledger) -> None:
    put(ledger, "r1")
    decisions.deny(ledger, "r1", "GDPR 17(3)(e): legal claims", BOB)
    decisions.deny(ledger, "r1", "once more", BOB)
    assert state(ledger, "r1") is State.DENIED
    assert events(ledger, "r1")[-1:] == ["denied"]
    assert '"reason":"GDPR 17(3)(e): legal claims"' in bodies(ledger)[-1]
    with pytest.raises(ConflictError, match="has ended"):
        decisions.cancel(ledger, "r1", "changed my mind", ALICE)


def test_cancelled_and_withdrawn_are_told_apart_in_the_log(ledger: Ledger) -> None:
    put(ledger, "r1")
    put(ledger, "r2")
    decisions.cancel(ledger, "r1", "asked twice", BOB)
    decisions.cancel(ledger, "r2", "letter of 3 May", ALICE, withdrawn=True)
    assert (state(ledger, "r1"), state(ledger, "r2")) == (State.CANCELLED, State.CANCELLED)
    assert (events(ledger, "r1")[-1], events(ledger, "r2")[-1]) == ("cancelled", "withdrawn")


@pytest.mark.parametrize("end", [decisions.deny, decisions.cancel])
def test_up_to_the_point_of_no_return_and_not_beyond(ledger: Ledger, end: object) -> None:
    approved(ledger, "r1")
    approved(ledger, "r2", plan={"other": 1})
    end(ledger, "r1", "taken back", ALICE)
    begun(ledger)
    with pytest.raises(ConflictError, match="past the point of no return"):
        end(ledger, "r2", "taken back", ALICE)
    assert state(ledger, "r2") is State.FORGETTING_DATA


def test_an_extension_gives_two_months_once_with_its_reason(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1")
    now.on(days=20)
    assert decisions.extend(ledger, "r1", "four models to retrain", BOB) == START.replace(month=6)
    assert '"reason":"four models to retrain"' in bodies(ledger)[-1]
    with pytest.raises(ConflictError, match="already extended"):
        decisions.extend(ledger, "r1", "again", BOB)


def test_no_extension_after_the_month_or_the_end(ledger: Ledger, now: Travel) -> None:
    put(ledger, "r1")
    put(ledger, "r2")
    decisions.deny(ledger, "r2", "legal claims", BOB)
    with pytest.raises(ConflictError, match="has ended"):
        decisions.extend(ledger, "r2", "late", BOB)
    now.on(days=32)
    with pytest.raises(ConflictError, match="first month is over"):
        decisions.extend(ledger, "r1", "late", BOB)


@pytest.mark.parametrize(
    "reason", ["", "  ", "x" * (MOST + 1), "two\nlines", "a\tb", "see maria@example.org", "\ud800"]
)
def test_a_reason_that_may_not_go_into_the_log_changes_nothing(ledger: Ledger, reason: str) -> None:
    put(ledger, "r1")
    with pytest.raises(RequestError, match="The reason is empty, longer"):
        decisions.deny(ledger, "r1", reason, BOB)
    assert state(ledger, "r1") is State.QUEUED
    assert proof.verify(ledger).seq == 2


def test_the_longest_reason_fits(ledger: Ledger) -> None:
    put(ledger, "r1")
    decisions.deny(ledger, "r1", "x" * MOST, BOB)
    assert state(ledger, "r1") is State.DENIED


@pytest.mark.parametrize("verb", [decisions.deny, decisions.cancel, decisions.extend])
def test_an_unknown_request_is_refused(ledger: Ledger, verb: object) -> None:
    with pytest.raises(UnknownError, match="no request r9"):
        verb(ledger, "r9", "why", BOB)
    with pytest.raises(RequestError, match="form that may not go into the log"):
        verb(ledger, "maria@example.org", "why", BOB)
