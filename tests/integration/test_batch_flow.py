"""Approved requests of the ledger, served as one batch: what is erased, who serves, what is on record; and crashes."""

import json

import pytest

from tests.integration.conftest import make_workspace
from tests.ledger_tools import ALICE, BOB
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import DataError, RequestError, StorageError
from tmu.ledger import approvals, holds, proof, serving, views
from tmu.ledger.errors import ConflictError
from tmu.ledger.intake import Intake, receive
from tmu.ledger.place import opened
from tmu.ledger.states import State
from tmu.steps.acknowledge import forget_set, written_down
from tmu.steps.ledger import batch
from tmu.steps.ledger.batch import Work
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan import plan_deletion
from tmu.steps.promote_model import Service, promote_model
from tmu.steps.reconcile import reconcile
from tmu.steps.resume import withdraw
from tmu.steps.verify_deletion import verify_deletion
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


def ask(workspace: Workspace, id_: str, *people: str, urgent: bool = False, method: str = "tmu-soft") -> None:
    """A request brought to `approved`."""
    keys = workspace.keys(simulated=True)
    intake = Intake(id=id_, dataset="digits", subjects=tuple(map(keys.subject, people)), urgent=urgent)
    with opened(workspace) as ledger:
        receive(ledger, keys, intake, ALICE)
        bound = plan_request(workspace, ledger, id_, ALICE, method)
        approvals.approve(ledger, id_, bound.hash, BOB)


def shown(workspace: Workspace, id_: str) -> dict:
    with opened(workspace) as ledger:
        return views.show(ledger, id_)


def events(workspace: Workspace, id_: str) -> list[str]:
    return [json.loads(entry)["event"] for entry in shown(workspace, id_)["log"]]


def people_of(numbers: range) -> list[str]:
    return [f"contributor-{number:03d}" for number in numbers]


@pytest.fixture(scope="module")
def served(prefect_server: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[dict]]:
    """A workspace after a nightly batch of three requests, two of which name the same person."""
    from flows.nightly_batch import nightly_batch_flow
    from flows.train_original import train_original_flow

    small = {"model": {"options": {"width": 4}}, "audit": {"golds": False, "probes": False}}
    workspace = make_workspace(tmp_path_factory.mktemp("batch") / "w", **small)
    train_original_flow(home=str(workspace.root))
    ask(workspace, "one", *people_of(range(4)))
    ask(workspace, "two", *people_of(range(3, 6)))
    ask(workspace, "three", *people_of(range(6, 9)), urgent=True)
    outcomes = nightly_batch_flow(home=str(workspace.root))
    return Workspace.open(workspace.root), outcomes


def test_normal_requests_are_one_batch_and_urgent_ones_follow(served: tuple[Workspace, list[dict]]) -> None:
    workspace, outcomes = served
    assert [outcome["requests"] for outcome in outcomes] == [2, 1]
    for id_ in ("one", "two", "three"):
        assert shown(workspace, id_)["state"] == State.COMPLETED
    index = open_store(workspace, data_ref(workspace)).index()
    keys = workspace.keys(simulated=True)
    assert not any(len(index.find_subject(keys.subject(name))) for name in people_of(range(9)))
    assert len(index.find_subject(keys.subject("contributor-010")))


def test_every_stage_is_on_record_with_its_evidence(served: tuple[Workspace, list[dict]]) -> None:
    workspace, _ = served
    stages = ["forgetting_data", "unlearning", "auditing", "promoting", "purging", "verifying", "completed"]
    assert [event for event in events(workspace, "one") if event in stages] == stages
    assert {row["kind"] for row in shown(workspace, "one")["evidence"]} == {"data_revision", "audit", "model"}
    with opened(workspace) as ledger:
        assert proof.verify(ledger).seq


def test_who_serves_is_on_record_and_what_learned_the_people_is_blocked(served: tuple[Workspace, list[dict]]) -> None:
    workspace, outcomes = served
    champion = workspace.registry.get_alias("digits", "champion")
    with opened(workspace) as ledger, ledger.read() as connection:
        last = serving.serving(connection, "digits")
    assert (last["version"], last["weights"]) == (champion.version, champion.weights_sha256)
    assert champion.version == outcomes[-1]["champion"]
    versions = workspace.registry.versions("digits")
    learned = [version for version in versions if version.role == "original"]
    assert learned and all(version.tags["serving"] == "blocked" for version in learned)
    assert champion.tags.get("serving") is None


def test_looking_again_sees_what_is_not_as_it_should_be(served: tuple[Workspace, list[dict]]) -> None:
    workspace, outcomes = served
    deletion = Journal(workspace).of_batch(outcomes[-1]["batch"])
    assert any("None of the" in sentence for sentence in verify_deletion(workspace, deletion))
    champion = workspace.registry.get_alias("digits", "champion")
    learned = next(version for version in workspace.registry.versions("digits") if version.role == "original")
    try:
        workspace.registry.set_alias("digits", "champion", learned)
        with pytest.raises(DataError, match=r"of another revision|learned the records"):
            verify_deletion(workspace, deletion)
    finally:
        workspace.registry.set_alias("digits", "champion", champion)
    plan = plan_deletion(workspace, Asked.of([workspace.keys(simulated=True).subject("contributor-050")], []))
    other = deletion.model_copy(update={"forget": forget_set(workspace, plan)})
    with pytest.raises(DataError, match="not the one of its plan"):
        verify_deletion(workspace, other)
    with pytest.raises(DataError, match="still in the data"):
        verify_deletion(workspace, other.model_copy(update={"plan": plan}))


def test_reconcile_puts_the_alias_back_to_what_the_log_says(served: tuple[Workspace, list[dict]]) -> None:
    workspace, _ = served
    champion = workspace.registry.get_alias("digits", "champion")
    assert reconcile(workspace).alias is None
    workspace.registry.set_alias("digits", "champion", 1)
    left = workspace.registry.start_batch("left behind", {"batch": "gone"}, dataset="digits")
    righted = reconcile(workspace)
    assert (righted.alias, righted.runs) == (champion.version, 1)
    assert workspace.registry.get_alias("digits", "champion") == champion
    assert workspace.registry.end_abandoned("digits") == 0, left


def test_the_run_of_a_batch_that_somebody_will_go_on_with_stays(served: tuple[Workspace, list[dict]]) -> None:
    workspace, _ = served
    workspace.registry.start_batch("open", {"batch": "b1"}, dataset="digits")
    assert workspace.registry.end_abandoned("digits", but_batch="b1") == 0
    assert workspace.registry.end_abandoned("digits", but_batch="b2") == 1


def test_a_model_of_data_that_have_moved_on_is_not_put_into_service(served: tuple[Workspace, list[dict]]) -> None:
    workspace, _ = served
    champion = workspace.registry.get_alias("digits", "champion")
    old = data_ref(workspace).model_copy(update={"digest": f"{'0' * 32}.dir"})
    assert promote_model(workspace, old, 1) == Service(version=None)
    assert workspace.registry.get_alias("digits", "champion") == champion


def test_nothing_is_left_to_do(served: tuple[Workspace, list[dict]]) -> None:
    from flows.nightly_batch import nightly_batch_flow

    workspace, _ = served
    assert nightly_batch_flow(home=str(workspace.root)) == []


def test_an_attempt_that_stopped_is_gone_on_with_and_takes_effect_once(
    served: tuple[Workspace, list[dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import prove as stages
    from flows.nightly_batch import nightly_batch_flow

    workspace, _ = served
    ask(workspace, "four", *people_of(range(10, 13)))
    real = stages.audited

    def away(*args: object, **named: object) -> None:
        raise StorageError("The store is away.", "Wait.")

    monkeypatch.setattr(stages, "audited", away)
    with pytest.raises(StorageError):
        nightly_batch_flow(home=str(workspace.root))
    waiting = batch.open_work(workspace)
    assert waiting.ended is None and shown(workspace, "four")["state"] == State.AUDITING
    late = Work(batch=waiting.batch, token=_token(workspace, waiting.batch), requests=("four",))
    ask(workspace, "five", *people_of(range(13, 15)))
    monkeypatch.setattr(stages, "audited", real)
    before = len(workspace.registry.versions("digits"))
    first, second = nightly_batch_flow(home=str(workspace.root))
    assert (first["batch"], first["requests"]) == (waiting.batch, 1)  # who came later waited for the next batch
    assert second["requests"] == 1
    assert shown(workspace, "four")["state"] == shown(workspace, "five")["state"] == State.COMPLETED
    deletion = Journal(workspace).of_batch(waiting.batch)
    made = workspace.registry.versions("digits")[before:]
    assert len({(version.role, version.weights_sha256, version.tags["data_revision"]) for version in made}) == len(made)
    with pytest.raises(ConflictError, match="not in force"):  # the late finisher
        promote_model(workspace, data_ref(workspace), 1, late)
    assert workspace.registry.get_alias("digits", "champion").version == second["champion"]
    assert deletion.stage is Stage.COMPLETED


def test_a_request_of_which_a_part_was_erased_meanwhile_is_approved_anew(served: tuple[Workspace, list[dict]]) -> None:
    from flows.nightly_batch import nightly_batch_flow

    workspace, _ = served
    ask(workspace, "eight", "contributor-030", "contributor-031")
    ask(workspace, "nine", "contributor-030", urgent=True)
    (outcome,) = nightly_batch_flow(home=str(workspace.root), lane="urgent")
    assert (outcome["requests"], shown(workspace, "nine")["state"]) == (1, State.COMPLETED)
    assert nightly_batch_flow(home=str(workspace.root)) == []
    assert shown(workspace, "eight")["state"] == State.AWAITING_APPROVAL  # fewer records than were approved
    with opened(workspace) as ledger:
        approvals.approve(ledger, "eight", shown(workspace, "eight")["plan"], BOB)
    (outcome,) = nightly_batch_flow(home=str(workspace.root))
    assert shown(workspace, "eight")["state"] == State.COMPLETED


def test_a_hold_between_begin_and_erasing_stops_what_it_covers_and_nothing_else(
    served: tuple[Workspace, list[dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import serve_batch
    from flows.nightly_batch import nightly_batch_flow

    workspace, _ = served
    ask(workspace, "ten", "contributor-040")
    ask(workspace, "eleven", "contributor-041")
    key, real, placed = workspace.keys(simulated=True).subject("contributor-040"), serve_batch.plan_batch, []

    def then_held(place: Workspace, work: Work) -> Deletion:
        deletion = real(place, work)
        if not placed:
            with opened(workspace) as ledger:
                placed.append(holds.hold(ledger, holds.Scope("subject", subject=key), "court order", ALICE))
        return deletion

    monkeypatch.setattr(serve_batch, "plan_batch", then_held)
    (outcome,) = nightly_batch_flow(home=str(workspace.root))
    assert (placed[0][1], outcome["requests"]) == ([], 1)
    assert (shown(workspace, "ten")["state"], shown(workspace, "eleven")["state"]) == (State.HELD, State.COMPLETED)
    assert len(open_store(workspace, data_ref(workspace)).index().find_subject(key))  # not a byte of it was touched
    assert workspace.registry.end_abandoned("digits") == 0
    with opened(workspace) as ledger:
        holds.release(ledger, placed[0][0], "case closed", ALICE)
        bound = plan_request(workspace, ledger, "ten", ALICE, "retrain")
        approvals.approve(ledger, "ten", bound.hash, BOB)
    (outcome,) = nightly_batch_flow(home=str(workspace.root))
    assert shown(workspace, "ten")["state"] == State.COMPLETED


def test_while_another_deletion_is_unfinished_nothing_new_is_begun(served: tuple[Workspace, list[dict]]) -> None:
    from flows.nightly_batch import nightly_batch_flow

    workspace, _ = served
    ask(workspace, "twelve", "contributor-042")
    named = Asked.of([workspace.keys(simulated=True).subject("contributor-043")], [])
    other = written_down(workspace, plan_deletion(workspace, named), named)
    with pytest.raises(RequestError, match="is not finished"):
        nightly_batch_flow(home=str(workspace.root))
    assert shown(workspace, "twelve")["state"] == State.APPROVED
    withdraw(workspace, other.id)
    assert len(nightly_batch_flow(home=str(workspace.root))) == 1
    assert shown(workspace, "twelve")["state"] == State.COMPLETED


def test_what_a_hold_covers_is_not_taken(served: tuple[Workspace, list[dict]]) -> None:
    from flows.nightly_batch import nightly_batch_flow

    workspace, _ = served
    ask(workspace, "six", *people_of(range(20, 22)))
    ask(workspace, "seven", *people_of(range(22, 24)))
    with opened(workspace) as ledger:
        key = workspace.keys(simulated=True).subject("contributor-022")
        holds.hold(ledger, holds.Scope("subject", subject=key), "court file", BOB)
    (outcome,) = nightly_batch_flow(home=str(workspace.root))
    assert outcome["requests"] == 1
    assert shown(workspace, "seven")["state"] == State.HELD
    index = open_store(workspace, data_ref(workspace)).index()
    assert len(index.find_subject(key))


def _token(workspace: Workspace, id_: str) -> int:
    from tmu.ledger import executions

    with opened(workspace) as ledger, ledger.read() as connection:
        return executions.last_attempt(connection, id_).token
