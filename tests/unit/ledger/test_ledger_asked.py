"""Pages of requests that stand still while others come in, and the keys that a request names."""

import pytest

from tests.ledger_tools import ALICE, BOB, FLOW, KEYS, PLAN, Travel, put
from tmu.ledger import plans
from tmu.ledger.asked import named_keys, page
from tmu.ledger.errors import UnknownError
from tmu.ledger.states import State
from tmu.ledger.store import Ledger


def ids(rows: list[dict]) -> list[str]:
    return [row["request"] for row in rows]


def test_pages_follow_each_other_also_within_one_moment(ledger: Ledger, now: Travel) -> None:
    for number in (3, 1, 2):  # all received at the same time
        put(ledger, f"a{number}")
    now.on(hours=1)
    put(ledger, "b1")
    first = ids(page(ledger, 2))
    assert first == ["b1", "a1"]
    now.on(hours=1)
    put(ledger, "c1")  # comes in between two pages
    assert ids(page(ledger, 2, after=first[-1])) == ["a2", "a3"]
    assert ids(page(ledger, 2, after="a3")) == []
    with pytest.raises(UnknownError):
        page(ledger, 2, after="z9")


def test_filters(ledger: Ledger) -> None:
    put(ledger, "a1", by=ALICE)
    put(ledger, "a2", by=BOB, urgent=True)
    put(ledger, "a3", by=BOB, identity_verified=False)
    assert ids(page(ledger, 9, requester="bob")) == ["a2", "a3"]
    assert ids(page(ledger, 9, urgent=True)) == ["a2"]
    assert ids(page(ledger, 9, urgent=False, requester="bob")) == ["a3"]
    assert ids(page(ledger, 9, states=[State.QUEUED])) == ["a1", "a2"]


def test_named_keys_leave_out_whom_only_the_plan_found(ledger: Ledger) -> None:
    put(ledger, "a1", "bea", "ann", records=("img-1",))
    plans.bind_plan(ledger, "a1", PLAN, subjects=[KEYS.subject("carl")], actor=FLOW)
    with ledger.read() as connection:
        named = named_keys(connection, "a1")
    assert named == (sorted(map(KEYS.subject, ("ann", "bea"))), [KEYS.record("img-1")])
