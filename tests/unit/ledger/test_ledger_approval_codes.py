"""Approval codes: one person, one request, one plan, one hour, one effect; refused redemptions are on record."""

import pytest

from tests.ledger_tools import ALICE, BOB, FLOW, KEYS, PLAN, Travel, bodies, events, put, state
from tmu.data.keys import Keys
from tmu.ledger import approval_codes, approvals, holds, plans
from tmu.ledger.actor import OPERATOR, Actor
from tmu.ledger.approval_codes import issue, redeem
from tmu.ledger.errors import ConflictError, ForbiddenError, UnknownError
from tmu.ledger.states import State
from tmu.ledger.store import Ledger


def shown(ledger: Ledger, id_: str = "r1", plan: dict | None = None) -> str:
    """A request that waits for approval; returns its plan's hash."""
    put(ledger, id_)
    plans.bind_plan(ledger, id_, plan or PLAN, subjects=[], actor=FLOW)
    return plans.ask_approval(ledger, id_, FLOW)


def code_of(ledger: Ledger, digest: str, actor: Actor = BOB, id_: str = "r1") -> str:
    return issue(KEYS, ledger, id_, digest, actor)[0]


def refused(ledger: Ledger, code: str, why: str, id_: str = "r1", kind: type = ForbiddenError) -> None:
    with pytest.raises(kind):
        redeem(KEYS, ledger, id_, code)
    assert events(ledger, id_)[-1] == "approval_code_refused"
    assert f'"why":"{why}"' in bodies(ledger)[-1]


def test_a_code_lets_its_person_approve_and_the_log_tells_how(ledger: Ledger) -> None:
    digest = shown(ledger)
    actor, of_plan = redeem(KEYS, ledger, "r1", f" {code_of(ledger, digest)}\n")
    assert (actor, of_plan) == (Actor("bob", "code"), digest)
    approvals.approve(ledger, "r1", digest, actor)
    assert state(ledger, "r1") is State.APPROVED
    assert events(ledger, "r1")[-3:] == ["approval_code_issued", "approval_code_redeemed", "approved"]
    assert '"method":"code"' in bodies(ledger)[-1]


def test_it_takes_effect_once(ledger: Ledger) -> None:
    digest = shown(ledger)
    code = code_of(ledger, digest)
    for _ in range(2):  # a crash between code and approval loses nothing
        actor, _ = redeem(KEYS, ledger, "r1", code)
    approvals.approve(ledger, "r1", digest, actor)
    refused(ledger, code, "state", kind=ConflictError)


def test_it_dies_with_its_plan_even_if_the_same_plan_comes_back(ledger: Ledger) -> None:
    digest = shown(ledger)
    code = code_of(ledger, digest)
    plans.bind_plan(ledger, "r1", {"records": 4}, subjects=[], actor=FLOW)
    plans.ask_approval(ledger, "r1", FLOW)
    refused(ledger, code, "does not hold")
    again = plans.bind_plan(ledger, "r1", PLAN, subjects=[], actor=FLOW)
    plans.ask_approval(ledger, "r1", FLOW)
    assert again.hash != digest  # each binding has a salt of its own
    refused(ledger, code, "does not hold")
    hold, *_ = holds.hold(ledger, holds.Scope("all"), "file 12", BOB)
    refused(ledger, code, "state", kind=ConflictError)
    holds.release(ledger, hold, "closed", BOB)
    plans.bind_plan(ledger, "r1", PLAN, subjects=[], actor=FLOW)
    plans.ask_approval(ledger, "r1", FLOW)
    refused(ledger, code, "does not hold")


def test_it_ends_after_an_hour(ledger: Ledger, now: Travel) -> None:
    digest = shown(ledger)
    code, ends = issue(KEYS, ledger, "r1", digest, BOB)
    assert ends == now.at + approval_codes.VALID
    now.on(minutes=59, seconds=59)
    redeem(KEYS, ledger, "r1", code)
    now.on(seconds=1)
    refused(ledger, code, "ended")


def test_nothing_of_it_can_be_changed(ledger: Ledger) -> None:
    digest = shown(ledger)
    shown(ledger, "r2")
    code = code_of(ledger, digest)
    name, expiry, mac = code.rsplit(".", 2)
    forged = [f"carol.{expiry}.{mac}", f"{name}.{int(expiry) + 3600}.{mac}", f"{name}.{expiry}.{'0' * 32}", mac, ""]
    forged += [code.upper(), f"{code}0", f"{name}.{expiry}.", f"..{mac}", f"{name}.9.{mac}", "a" * 10_000, "\x00"]
    for each in forged:
        refused(ledger, each, "does not hold")
    refused(ledger, code, "does not hold", id_="r2")  # another request with the very same plan
    with pytest.raises(ForbiddenError):
        redeem(Keys(b"another secret of enough bytes"), ledger, "r1", code)
    with pytest.raises(UnknownError):
        redeem(KEYS, ledger, "r9", code)
    assert redeem(KEYS, ledger, "r1", code)[0].name == "bob"
    assert all(code not in body and mac not in body for body in bodies(ledger))


@pytest.mark.parametrize("actor", [ALICE, OPERATOR, FLOW, Actor("bob", "code"), Actor("bob", "form")], ids=str)
def test_who_may_not_approve_gets_no_code(ledger: Ledger, actor: Actor) -> None:
    digest = shown(ledger)
    with pytest.raises(ForbiddenError):
        code_of(ledger, digest, actor)
    assert events(ledger, "r1")[-1] == "approval_code_refused"


def test_there_is_no_code_for_another_plan_or_for_what_waits_for_no_approval(ledger: Ledger) -> None:
    digest = shown(ledger)
    with pytest.raises(ConflictError, match="has changed"):
        code_of(ledger, "0" * 64)
    put(ledger, "r2")
    with pytest.raises(ConflictError, match="is `queued`"):
        code_of(ledger, digest, id_="r2")
    assert events(ledger, "r2")[-1] == events(ledger, "r1")[-1] == "approval_code_refused"


def test_a_code_of_the_requesters_name_does_not_approve(ledger: Ledger) -> None:
    """Four eyes are checked at the approval, whatever a code says."""
    digest = shown(ledger)
    with ledger.read() as connection:
        plan = plans.bound_plan(connection, plans.find(connection, "r1"))
    expiry = int(ledger.now().timestamp()) + 60
    mac = approval_codes.mac_of(KEYS, "r1", plan.id, plan.hash, "alice", expiry)
    actor, _ = redeem(KEYS, ledger, "r1", f"alice.{expiry}.{mac}")
    with pytest.raises(ForbiddenError, match="The requester cannot approve"):
        approvals.approve(ledger, "r1", digest, actor)
