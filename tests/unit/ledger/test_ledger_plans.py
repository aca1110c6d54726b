"""A plan bound by its hash; approval by a second, authenticated person; a changed plan voids it."""

import hashlib
import json

import pytest

from tests.ledger_tools import ALICE, BOB, FLOW, PLAN, approve_again, approved, bodies, events, put, state, tampering
from tmu.files import canonical_json
from tmu.ledger import approvals, batches, executions, plans, proof, views
from tmu.ledger.actor import OPERATOR, Actor
from tmu.ledger.errors import ConflictError, ForbiddenError
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find

OTHER = {"records": 4, "shards": [1, 2]}


def bind(ledger: Ledger, plan: dict) -> plans.Bound:
    return plans.bind_plan(ledger, "r1", plan, subjects=[], actor=FLOW)


@pytest.fixture
def shown(ledger: Ledger) -> str:
    """The hash of the plan of `r1`, which waits for approval."""
    put(ledger, "r1")
    bind(ledger, PLAN)
    return plans.ask_approval(ledger, "r1", FLOW)


def test_a_plan_is_bound_by_the_hash_of_its_canonical_json(ledger: Ledger) -> None:
    put(ledger, "r1")
    bound = bind(ledger, PLAN)
    assert bound == plans.Bound(bound.hash, True, 0, State.PLANNED)
    with ledger.read() as connection:
        body = json.loads(plans.bound_plan(connection, find(connection, "r1")).body)
    salt = body.pop(plans.SALT)
    assert body == PLAN and len(salt) == 32
    assert bound.hash == hashlib.sha256(canonical_json(PLAN | {plans.SALT: salt})).hexdigest()
    assert bind(ledger, dict(reversed(PLAN.items()))) == plans.Bound(bound.hash, False, 0, State.PLANNED)
    assert events(ledger, "r1") == ["received", "queued", "planned"]


def test_a_plan_is_not_bound_before_the_identity_is_known(ledger: Ledger) -> None:
    put(ledger, "r1", identity_verified=False)
    with pytest.raises(ConflictError, match="is `unverified`"):
        bind(ledger, PLAN)


def test_nothing_is_approved_that_was_not_planned(ledger: Ledger) -> None:
    put(ledger, "r1")
    with pytest.raises(ConflictError, match="no plan in force"):
        plans.ask_approval(ledger, "r1", FLOW)
    bind(ledger, PLAN)
    with pytest.raises(ConflictError, match="cannot become `approved`"):
        approvals.approve(ledger, "r1", bind(ledger, PLAN).hash, BOB)


def test_a_second_person_approves_once(ledger: Ledger, shown: str) -> None:
    assert plans.ask_approval(ledger, "r1", FLOW) == shown
    approvals.approve(ledger, "r1", shown, BOB, "checked")
    approvals.approve(ledger, "r1", shown, BOB)
    assert state(ledger, "r1") is State.APPROVED
    assert [each["approver"] for each in views.show(ledger, "r1")["approvals"]] == ["bob"]
    with pytest.raises(ConflictError):
        approvals.approve(ledger, "r1", shown, Actor("carol", "token"))


@pytest.mark.parametrize(
    ("actor", "why"),
    [(ALICE, "requester"), (OPERATOR, "not authenticated"), (FLOW, "not authenticated"), (Actor("bob", "cli"), "not")],
)
def test_four_eyes_and_an_authenticated_call_or_a_refusal_on_record(
    ledger: Ledger, shown: str, actor: Actor, why: str
) -> None:
    with pytest.raises(ForbiddenError):
        approvals.approve(ledger, "r1", shown, actor)
    assert state(ledger, "r1") is State.AWAITING_APPROVAL
    assert events(ledger, "r1")[-1] == "approval_refused"
    assert why in bodies(ledger)[-1]
    assert actor.name in bodies(ledger)[-1]
    assert views.show(ledger, "r1")["approvals"] == []


def test_the_requester_is_the_same_person_by_any_way(ledger: Ledger) -> None:
    put(ledger, "r1", by=Actor("bob", "cli"))
    bind(ledger, PLAN)
    with pytest.raises(ForbiddenError, match="The requester cannot approve"):
        approvals.approve(ledger, "r1", plans.ask_approval(ledger, "r1", FLOW), BOB)


def test_an_approval_of_another_plan_is_refused_and_on_record(ledger: Ledger, shown: str) -> None:
    bind(ledger, OTHER)
    plans.ask_approval(ledger, "r1", FLOW)
    with pytest.raises(ConflictError, match="The plan has changed"):
        approvals.approve(ledger, "r1", shown, BOB)
    assert events(ledger, "r1")[-1] == "approval_refused"
    assert state(ledger, "r1") is State.AWAITING_APPROVAL


def test_a_changed_plan_voids_the_approval(ledger: Ledger, shown: str) -> None:
    approvals.approve(ledger, "r1", shown, BOB)
    assert bind(ledger, PLAN).voided == 0
    assert state(ledger, "r1") is State.APPROVED
    bound = bind(ledger, OTHER)
    assert (bound.changed, bound.voided, bound.state) == (True, 1, State.PLANNED)
    assert events(ledger, "r1")[-1] == "plan_changed"
    assert batches.take_batch(ledger, "faces", FLOW) is None
    approve_again(ledger, "r1", OTHER)
    live = [each["plan_hash"] for each in views.show(ledger, "r1")["approvals"] if each["voided_at"] is None]
    assert live == [bound.hash]


def test_going_back_to_an_approved_plan_does_not_revive_its_approval(ledger: Ledger, shown: str) -> None:
    approvals.approve(ledger, "r1", shown, BOB)
    bind(ledger, OTHER)
    assert bind(ledger, PLAN).state is State.PLANNED
    assert batches.take_batch(ledger, "faces", FLOW) is None


def test_a_plan_that_changes_between_batch_and_begin_leaves_the_batch(ledger: Ledger, shown: str) -> None:
    approvals.approve(ledger, "r1", shown, BOB)
    approved(ledger, "r2")
    batch = batches.take_batch(ledger, "faces", FLOW)
    bind(ledger, OTHER)
    assert executions.begin(ledger, batch.id, FLOW).requests == ["r2"]
    assert state(ledger, "r1") is State.PLANNED


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE plans SET body = '{\"records\":9}'",
        "UPDATE approvals SET plan_hash = 'x'",
        "DELETE FROM approvals",
        "UPDATE requests SET plan_hash = 'x'",
        "UPDATE plans SET voided_at = '2026-01-01 00:00:00.000000'",
    ],
)
def test_what_was_tampered_with_is_not_executed(ledger: Ledger, attack: str) -> None:
    approved(ledger, "r1")
    with tampering(ledger) as raw:
        raw.execute(attack)
    batch = batches.take_batch(ledger, "faces", FLOW)
    assert executions.begin(ledger, batch.id, FLOW) is None
    assert state(ledger, "r1") is State.PLANNED
    assert events(ledger, "r1")[-1] == "left_out"
    approve_again(ledger, "r1")
    assert executions.begin(ledger, batches.take_batch(ledger, "faces", FLOW).id, FLOW).requests == ["r1"]
    assert proof.verify(ledger)


def test_a_tampered_plan_is_not_shown_for_approval(ledger: Ledger, shown: str) -> None:
    with tampering(ledger) as raw:
        raw.execute("UPDATE plans SET body = '{\"records\":9}'")
    with pytest.raises(ConflictError, match="was changed"):
        approvals.approve(ledger, "r1", shown, BOB)
    with pytest.raises(ConflictError, match="was changed"):
        plans.ask_approval(ledger, "r1", FLOW)


def test_no_plan_past_the_point_of_no_return(ledger: Ledger) -> None:
    approved(ledger, "r1")
    executions.begin(ledger, batches.take_batch(ledger, "faces", FLOW).id, FLOW)
    with pytest.raises(ConflictError, match="is `forgetting_data`"):
        bind(ledger, OTHER)
