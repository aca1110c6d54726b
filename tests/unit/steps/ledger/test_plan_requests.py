"""Many plans at once: the same as one by one, against one revision; and what of a plan an approval stands on."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from bench.service.records import make_records
from tests.ledger_tools import BOB, FLOW, KEYS, asked, events, in_memory, state
from tests.unit.data.conftest import Made
from tmu.config import Params
from tmu.data.erase import erase
from tmu.data.importer import import_records
from tmu.data.store import RecordStore
from tmu.deletion.plan import Asked, essence, rules_of
from tmu.errors import RequestError, StorageError
from tmu.ledger import approvals, holds, plans
from tmu.ledger.errors import ConflictError, UnknownError
from tmu.ledger.intake import Intake, receive_all
from tmu.ledger.plans import SALT, Bound, bound_plan
from tmu.ledger.schema import audit_log
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find
from tmu.steps import plan as step
from tmu.steps.foresee_mix import Foreseen, foresee_mix
from tmu.steps.ledger.bind_plans import plan_request, plan_requests
from tmu.steps.plan import plan_deletion
from tmu.twin.class_mix import class_shift
from tmu.workspace import Workspace

PEOPLE = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "data"
    import_records(Made(n=240, people=40), folder, KEYS, n_buckets=8)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, made: Path) -> Workspace:
    (tmp_path / "params.yaml").write_text("{}")
    (tmp_path / ".tmu").mkdir()
    shutil.copytree(made, tmp_path / "data")
    return Workspace.open(tmp_path)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = in_memory()
    yield made
    made.close()


def ask(ledger: Ledger, n: int = PEOPLE) -> list[str]:
    """Requests of one person, of two, of single records, in turn."""
    intakes = []
    for number in range(n):
        named = {"people": (f"person-{number}",), "records": (f"r{number + 40}",)}
        people = () if number % 3 == 2 else (*named["people"], *([f"person-{number + 20}"] * (number % 3)))
        records = named["records"] if number % 3 == 2 else ()
        intakes.append(asked(f"case-{number:03}", *people, records=records, dataset="made"))
    receive_all(ledger, KEYS, intakes, BOB)
    return [intake.id for intake in intakes]


def bodies(ledger: Ledger, ids: list[str]) -> dict[str, tuple[str, dict]]:
    """State and plan of each request, without the salt of its binding; the hash is that of the salted plan."""
    with ledger.read() as connection:
        rows = {id_: find(connection, id_) for id_ in ids}
        found = {id_: (row, bound_plan(connection, row).body) for id_, row in rows.items()}
    assert all(row.plan_hash == hashlib.sha256(body.encode()).hexdigest() for row, body in found.values())
    salts = {json.loads(body)[SALT] for _, body in found.values()}
    assert len(salts) == len(found)
    return {
        id_: (row.state, {name: part for name, part in json.loads(body).items() if name != SALT})
        for id_, (row, body) in found.items()
    }


def later_revision(workspace: Workspace, person: str) -> None:
    """The data without a person, as a nightly batch leaves them."""
    index = RecordStore.open(workspace.data).index()
    gone = index.keys_at(index.find_subject(KEYS.subject(person)))
    erase(workspace.data, workspace.root / "next", gone)
    shutil.rmtree(workspace.data)
    (workspace.root / "next").rename(workspace.data)


def approve(ledger: Ledger, request: str, bound: Bound) -> None:
    approvals.approve(ledger, request, bound.hash, type(BOB)("carol", "token"))


def test_many_at_once_give_the_same_plans_as_one_by_one(workspace: Workspace, ledger: Ledger) -> None:
    ids = ask(ledger)
    many = plan_requests(workspace, ledger, None, FLOW)
    other = in_memory()
    ask(other)
    single = {id_: plan_request(workspace, other, id_, FLOW) for id_ in ids}
    assert {id_: replace(bound, hash="") for id_, bound in many.items()} == {
        id_: replace(bound, hash="") for id_, bound in single.items()
    }
    assert {bound.state for bound in many.values()} == {"awaiting_approval"}
    assert bodies(ledger, ids) == bodies(other, ids)
    assert [events(ledger, id_) for id_ in ids] == [events(other, id_) for id_ in ids]
    alone = plan_deletion(workspace, Asked.of([KEYS.subject("person-0")], []))
    assert bodies(ledger, ids)["case-000"][1] == alone.body
    assert plan_requests(workspace, ledger, None, FLOW) == {}  # nothing is queued any more
    assert {(bound.changed, bound.voided) for bound in plan_requests(workspace, ledger, ids, FLOW).values()} == {
        (False, 0)
    }


def test_the_revision_is_named_and_the_index_built_once(
    workspace: Workspace, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(ledger)
    seen: list[str] = []
    for module, name in (("tmu.data.digest", "dvc_digest"), ("tmu.data.store", "dvc_digest")):
        target = __import__(module, fromlist=[name])
        real = getattr(target, name)
        monkeypatch.setattr(target, name, lambda *given, real=real: seen.append("digest") or real(*given))
    real_build = step.RecordStore.index
    monkeypatch.setattr(step.RecordStore, "index", lambda self: seen.append(str(id(self))) or real_build(self))
    plan_requests(workspace, ledger, None, FLOW)
    assert seen.count("digest") == 1
    assert len(set(seen)) == 2  # one store beside it
    assert not (workspace.root / ".tmu" / "index").exists()  # nothing is left that links people to records


def test_a_later_revision_with_equal_essence_keeps_plan_and_approval(workspace: Workspace, ledger: Ledger) -> None:
    ids = ask(ledger)
    first = plan_requests(workspace, ledger, None, FLOW)
    approve(ledger, ids[0], first[ids[0]])
    later_revision(workspace, "person-39")
    again = plan_requests(workspace, ledger, ids, FLOW)
    assert {(bound.changed, bound.voided) for bound in again.values()} == {(False, 0)}
    assert {id_: bound.hash for id_, bound in again.items()} == {id_: bound.hash for id_, bound in first.items()}
    assert state(ledger, ids[0]) == "approved"
    fresh = in_memory()
    ask(fresh)
    assert plan_requests(workspace, fresh, None, FLOW)[ids[0]].hash != first[ids[0]].hash  # it was another revision


def test_a_revision_without_some_of_its_records_voids_the_approval(workspace: Workspace, ledger: Ledger) -> None:
    receive_all(ledger, KEYS, [asked("case-1", "person-1", "person-2", records=("r5",), dataset="made")], BOB)
    first = plan_request(workspace, ledger, "case-1", FLOW)
    approve(ledger, "case-1", first)
    later_revision(workspace, "person-2")
    rest = plan_requests(workspace, ledger, ["case-1"], FLOW)["case-1"]
    assert (rest.changed, rest.voided, rest.state) == (True, 1, "awaiting_approval")
    body = bodies(ledger, ["case-1"])["case-1"][1]
    assert (body["n_records"], body["n_subjects_named"]) == (7, 1)  # without the person who was erased
    receive_all(ledger, KEYS, [asked("case-2", "person-3", dataset="made")], BOB)
    approve(ledger, "case-2", plan_request(workspace, ledger, "case-2", FLOW))
    index = RecordStore.open(workspace.data).index()
    some = index.keys_at(index.find_subject(KEYS.subject("person-3")))[:2]
    erase(workspace.data, workspace.root / "next", some)
    shutil.rmtree(workspace.data)
    (workspace.root / "next").rename(workspace.data)
    again = plan_request(workspace, ledger, "case-2", FLOW)
    assert (again.changed, again.voided, again.state) == (True, 1, "awaiting_approval")


def test_renewing_keeps_the_method_that_was_asked_for(workspace: Workspace, ledger: Ledger) -> None:
    ids = ask(ledger, 2)
    plan_request(workspace, ledger, ids[0], FLOW, "finetune")
    plan_request(workspace, ledger, ids[1], FLOW)
    assert not any(bound.changed for bound in plan_requests(workspace, ledger, ids, FLOW, renew=True).values())
    assert [bound.changed for bound in plan_requests(workspace, ledger, ids, FLOW).values()] == [True, False]


def test_each_refusal_stands_in_its_place_and_touches_no_other(workspace: Workspace, ledger: Ledger) -> None:
    ids = ask(ledger, 3)
    odd = [asked("gone", "nobody", dataset="made"), asked("faces", "person-1"), asked("late", "p", dataset="made")]
    receive_all(ledger, KEYS, [*odd[:2], odd[2].model_copy(update={"identity_verified": False})], BOB)
    holds.hold(ledger, holds.Scope("subject", subject=KEYS.subject("person-2")), "file 12", BOB)
    named = [ids[0], "gone", "faces", "late", "nothing", ids[0], ids[1], ids[2]]
    answers = plan_requests(workspace, ledger, named, FLOW)
    assert list(answers) == ["case-000", "gone", "faces", "late", "nothing", "case-001", "case-002"]
    assert [type(answer) for answer in answers.values()] == [
        Bound, RequestError, ConflictError, ConflictError, UnknownError, Bound, Bound,
    ]  # fmt: skip
    assert [answers[id_].state for id_ in ids] == ["awaiting_approval", "awaiting_approval", "held"]
    assert "another dataset" in answers["faces"].what
    assert state(ledger, "gone") == "queued"
    for request in ("gone", "faces", "late", "nothing"):
        with pytest.raises(type(answers[request])):
            plan_request(workspace, ledger, request, FLOW)


def test_data_that_change_while_they_are_read_are_not_planned_on(
    workspace: Workspace, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ask(ledger, 1)
    real = step.data_ref

    def meanwhile(place: Workspace) -> object:
        named = real(place)
        later_revision(place, "person-30")
        return named

    monkeypatch.setattr(step, "data_ref", meanwhile)
    with pytest.raises(StorageError, match="changed while they were read"):
        plan_requests(workspace, ledger, ids, FLOW)
    assert state(ledger, ids[0]) == "queued"


def test_more_than_one_transaction_holds(workspace: Workspace, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ask(ledger, 7)
    monkeypatch.setattr(plans, "_TOGETHER", 3)
    assert {bound.state for bound in plan_requests(workspace, ledger, ids, FLOW).values()} == {"awaiting_approval"}
    with ledger.read() as connection:
        assert connection.scalar(sa.select(sa.func.max(audit_log.c.seq))) == 7 * 4


def test_other_rules_make_another_plan_and_what_auto_weighs_does_not() -> None:
    params = Params()
    looser = params.model_copy(update={"audit": params.audit.model_copy(update={"far_points": 100.0})})
    shorter = params.model_copy(update={"train": params.train.model_copy(update={"epochs": 1})})
    shared = params.model_copy(update={"auto": params.auto.model_copy(update={"requests_per_references": 9})})
    assert len({rules_of(each) for each in (params, looser, shorter)}) == 3
    assert rules_of(shared) == rules_of(params)


def test_what_the_essence_holds() -> None:
    choice = {"asked": "auto", "method": "tmu-soft", "reason": "x", "forecast": {"a": 1}}
    choice["risk"] = {"level": "unknown", "refusal": None}
    body = {"id": "1", "data": {"digest": "x"}, "shards": [1], "choice": choice, "records_digest": "d"}
    body |= {"n_records": 2, "n_train": 1, "n_subjects_named": 1, "by_split": {}, "by_class": {}, "warnings": []}
    same = [{"id": "2"}, {"data": {"digest": "y"}}, {"shards": [2]}]
    same += [{"choice": choice | part} for part in ({"asked": "tmu-soft"}, {"reason": "y"}, {"forecast": {}})]
    same += [{"choice": choice | {"risk": {"level": "low", "refusal": None}}}]
    assert all(essence(body | part) == essence(body) for part in same)
    other = [{name: "other"} for name in ("records_digest", "n_records", "by_split", "by_class", "warnings", "rules")]
    other += [{"choice": choice | {"method": "retrain"}}, {"choice": choice | {"risk": {"level": "high"}}}]
    assert all(essence(body | part) != essence(body) for part in other)


@pytest.mark.parametrize(
    ("forget", "holdout"),
    [
        ([3, 2, 1], [5000, 5100, 4900]), ([9, 0, 0], [4000, 10, 4000]), ([5, 5, 0], [0, 30, 30]),
        ([1, 1, 1], [0, 0, 0]), ([0, 9, 0], [400, 20, 400]), ([60, 0, 0], [8, 300, 300]),
        ([900, 10, 10], [300, 300, 300]),
    ],
)  # fmt: skip
def test_the_fast_class_mix_decides_as_the_full_one(forget: list[int], holdout: list[int]) -> None:
    counts = [np.array(forget), 1000 - np.array(forget), np.array(holdout)]
    fast = foresee_mix(*counts, names=("a", "b", "c"), seed=0)
    full = class_shift(*counts, names=("a", "b", "c"), seed=0)
    assert fast.refusal() == full.refusal()
    left, right = fast.as_json(), full.as_json()
    assert isinstance(fast, Foreseen) == (left.pop("p") is None)
    right.pop("p")
    assert left == pytest.approx(right)


def test_made_records_are_a_store_like_any_other(tmp_path: Path) -> None:
    people = make_records(tmp_path / "data", KEYS, 2000, 100, buckets=16)
    store = RecordStore.open(tmp_path / "data", KEYS)
    assert store.verify()["records"] == len(store.index()) == 2000
    assert sum(len(store.index().find_subject(key)) for key in people) == 2000
    (tmp_path / "params.yaml").write_text("{}")
    (tmp_path / ".tmu").mkdir()
    ledger = in_memory()
    receive_all(ledger, KEYS, [Intake(id="c", dataset="digits", subjects=(people[0],))], BOB)
    assert plan_request(Workspace.open(tmp_path), ledger, "c", FLOW).state == "awaiting_approval"
