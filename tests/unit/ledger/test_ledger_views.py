"""One request, many, and the board; evidence by reference."""

from datetime import timedelta

import pytest

from tests.ledger_tools import ALICE, BOB, FLOW, KEYS, START, Travel, approved, bodies, put
from tmu.errors import RequestError
from tmu.ledger import decisions, evidence, holds, proof, views
from tmu.ledger.errors import UnknownError
from tmu.ledger.states import State
from tmu.ledger.store import Ledger


def test_the_board_shows_open_requests_the_most_urgent_first(ledger: Ledger, now: Travel) -> None:
    put(ledger, "old")
    now.on(days=10)
    put(ledger, "young")
    put(ledger, "gone")
    decisions.deny(ledger, "gone", "legal claims", BOB)
    now.on(days=15)
    lines = views.board(ledger)
    assert [(each["request"], each["days_left"], each["warning"]) for each in lines] == [
        ("old", 6.0, 80),
        ("young", 16.0, 0),
    ]
    now.on(days=7)
    assert views.board(ledger)[0]["warning"] == 100
    assert views.board(ledger)[0]["days_left"] == -1.0


def test_the_forecast_adds_up_the_queue(ledger: Ledger, now: Travel) -> None:
    for name in ("r1", "r2", "r3"):
        put(ledger, name)
        now.on(hours=1)
    put(ledger, "unverified", identity_verified=False)
    now.at = START + timedelta(days=30)
    lines = {each["request"]: each for each in views.board(ledger, seconds_each=12 * 3600)}
    assert [lines[name]["misses"] for name in ("r1", "r2", "r3")] == [False, False, True]
    assert lines["r3"]["finishes"] == (now.at + timedelta(hours=36)).isoformat()
    assert "misses" not in lines["unverified"]
    assert "misses" not in views.board(ledger)[0]


def test_a_list_by_state_newest_first(ledger: Ledger, now: Travel) -> None:
    for name in ("r1", "r2", "r3"):
        put(ledger, name)
        now.on(hours=1)
    decisions.cancel(ledger, "r2", "letter", ALICE)
    assert [each["request"] for each in views.listing(ledger)] == ["r3", "r2", "r1"]
    assert [each["request"] for each in views.listing(ledger, [State.QUEUED], 1)] == ["r3"]
    assert views.listing(ledger, [State.HELD]) == []
    (ended,) = views.listing(ledger, [State.CANCELLED])
    assert (ended["days_left"], ended["warning"], ended["percent"]) == (None, None, None)


def test_a_request_shows_no_key(ledger: Ledger) -> None:
    approved(ledger, "r1", "ann")
    shown = views.show(ledger, "r1")
    assert shown["receipts"] == [
        {"kind": "subject", "state": "open", "given_at": START.isoformat(), "withdrawn_at": None}
    ]
    assert shown["requester"] == "alice"
    assert len(shown["log"]) == 5
    assert KEYS.subject("ann") not in str(shown)
    with pytest.raises(UnknownError):
        views.show(ledger, "r9")


def test_evidence_is_a_reference_and_attached_once(ledger: Ledger) -> None:
    put(ledger, "r1")
    for _ in range(2):
        evidence.attach_all(ledger, ["r1"], "audit", "audit/abc", "ab" * 32, FLOW)
    (found,) = views.show(ledger, "r1")["evidence"]
    assert (found["kind"], found["uri"], found["digest"]) == ("audit", "audit/abc", "ab" * 32)
    assert "audit/abc" not in bodies(ledger)[-1]
    assert proof.verify(ledger).seq == 3


@pytest.mark.parametrize(
    "bad",
    [("A b", "u", "ab" * 32), ("audit", "", "ab" * 32), ("audit", "u", "ab"), ("audit", "u\n", "ab" * 32)],
)
def test_what_is_no_reference_is_refused(ledger: Ledger, bad: tuple[str, str, str]) -> None:
    put(ledger, "r1")
    with pytest.raises(RequestError, match="no reference"):
        evidence.attach_all(ledger, ["r1"], *bad, FLOW)


def test_holds_in_force_are_listed(ledger: Ledger) -> None:
    holds.hold(ledger, holds.Scope("dataset", dataset="faces"), "court file 12", BOB)
    (found,) = views.active_holds(ledger)
    assert (found["scope"], found["dataset"], found["placed_at"]) == ("dataset", "faces", START.isoformat())
