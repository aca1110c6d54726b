"""Plan, act and check of a purge: what fails stays open and is named, what stays is written down, keys go last."""

import json
from pathlib import Path

import pytest

from tests.purge_tools import Memory, erased, scope, use_places
from tmu.deletion.deletion import Deletion, Stage
from tmu.errors import RequestError, StorageError
from tmu.files import read_json
from tmu.purge.in_service import WHY
from tmu.purge.record import Record, find_record, records
from tmu.purge.summary import PurgeSummary
from tmu.purge.trace import Action, Holds, Trace
from tmu.steps.purge import act_purge, check_purge, foresee_purge, plan_purge, refuse_left, scrub_purge
from tmu.workspace import Workspace


@pytest.fixture
def deletion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, Deletion]:
    workspace = Workspace.create(tmp_path / "w")
    monkeypatch.setattr("tmu.steps.purge.scope_of", lambda workspace, deletion: scope(deletion))
    return workspace, erased(workspace)


def kept(place: str, address: str, until: str = "2999-01-01") -> Trace:
    return Trace(place=place, address=address, holds=Holds.WEIGHTS, action=Action.KEEP, why="A rule.", until=until)


def run(workspace: Workspace, deletion: Deletion) -> Record:
    plan_purge(workspace, deletion)
    act_purge(workspace, deletion.id)
    record = check_purge(workspace, deletion.id)
    refuse_left(record)
    return record


def test_a_purge_destroys_what_it_found_and_keeps_what_stays(deletion, monkeypatch) -> None:
    workspace, request = deletion
    cache, models = Memory("cache", a=Holds.IMAGES, b=Holds.IMAGES), Memory("models", c=kept("models", "c"))
    use_places(monkeypatch, at_30=[models], at_10=[cache])
    told = []
    plan_purge(workspace, request)
    act_purge(workspace, request.id, lambda done, total: told.append((done, total)))
    record = check_purge(workspace, request.id)
    assert (cache.things, cache.purged, told) == ({}, ["a", "b"], [(1, 2), (2, 2)])
    assert list(models.things) == ["c"] and models.purged == []
    assert record.acted and record.verified and record.places == ("cache", "models")
    summary = record.summary()
    assert summary.passed and PurgeSummary.model_validate_json(summary.model_dump_json()) == summary
    assert summary.sentence == ("Purged: 2 traces in 2 stores are gone; 1 stay (models: A rule, until 2999-01-01).")
    found = [(line.place, line.action, line.holds, line.count, line.result, line.until) for line in summary.lines]
    assert found == [
        ("cache", "destroy", "images", 2, "gone", ""),
        ("models", "keep", "weights", 1, "stays", "2999-01-01"),
    ]


def test_looking_writes_and_destroys_nothing(deletion, monkeypatch) -> None:
    workspace, request = deletion
    store = Memory("cache", a=Holds.IMAGES)
    use_places(monkeypatch, at_10=[store])
    assert len(foresee_purge(workspace, request).left) == 1
    assert find_record(workspace, request.id) is None and list(store.things) == ["a"]
    with pytest.raises(RequestError, match="No purge of request"):
        act_purge(workspace, request.id)


def test_before_the_erasure_there_is_nothing_to_purge(deletion) -> None:
    workspace, request = deletion
    with pytest.raises(RequestError, match="is erased yet"):
        plan_purge(workspace, request.model_copy(update={"stage": Stage.ACKNOWLEDGED}))


def test_a_refusal_fails_its_trace_alone_and_the_next_run_goes_on(deletion, monkeypatch) -> None:
    workspace, request = deletion
    first, second = Memory("s3", a=Holds.IMAGES, b=Holds.IMAGES), Memory("mlflow", c=Holds.WEIGHTS)
    keys = Memory("ledger", d=Holds.KEYS)
    first.refuses = {"a"}
    use_places(monkeypatch, at_10=[first], at_30=[second], at_90=[keys])
    plan_purge(workspace, request)
    with pytest.raises(StorageError, match=r"not complete \(s3: 503 from a\)"):
        act_purge(workspace, request.id)
    assert (list(first.things), second.things, list(keys.things)) == (["a"], {}, ["d"])  # what leads to them waits
    (failed, waits) = find_record(workspace, request.id).left
    assert (failed.state, failed.reason, waits.state) == ("failed", "503 from a.", "open")
    first.refuses = set()
    act_purge(workspace, request.id)
    assert (first.things, keys.things, first.purged, second.purged) == ({}, {}, ["b", "a"], ["c"])
    assert check_purge(workspace, request.id).verified


def test_a_store_that_is_away_is_named_and_found_by_the_next_plan(deletion, monkeypatch) -> None:
    workspace, request = deletion
    away, there, keys = Memory("s3", a=Holds.IMAGES), Memory("cache", b=Holds.IMAGES), Memory("ledger", d=Holds.KEYS)
    away.broken = True
    use_places(monkeypatch, at_10=[away, there], at_90=[keys])
    assert plan_purge(workspace, request).away == {"s3": "s3 does not answer."}
    with pytest.raises(StorageError, match="s3: s3 does not answer"):
        act_purge(workspace, request.id)
    assert (there.things, list(keys.things)) == ({}, ["d"])
    with pytest.raises(StorageError, match="s3: s3 does not answer"):
        check_purge(workspace, request.id)
    assert not find_record(workspace, request.id).verified
    away.broken = False
    assert run(workspace, request).verified
    assert (away.things, keys.things) == ({}, {})


def test_a_store_that_refuses_thrice_in_a_row_is_left_for_the_next_run(deletion, monkeypatch) -> None:
    """One that hangs would cost its time limit once for each trace."""
    workspace, request = deletion
    store = Memory("s3", **{f"a{number}": Holds.IMAGES for number in range(9)})
    store.refuses = set(store.things)
    use_places(monkeypatch, at_10=[store])
    plan_purge(workspace, request)
    with pytest.raises(StorageError, match="s3: 503"):
        act_purge(workspace, request.id)
    states = [step.state for step in find_record(workspace, request.id).steps]
    assert states == ["failed"] * 3 + ["open"] * 6


def test_what_is_still_there_after_the_purge_fails_by_name(deletion, monkeypatch) -> None:
    workspace, request = deletion
    store = Memory("cache", a=Holds.IMAGES)
    store.stubborn = True
    use_places(monkeypatch, at_10=[store])
    with pytest.raises(StorageError, match=r"1 trace of request .* still is there: cache: a"):
        run(workspace, request)
    record = find_record(workspace, request.id)
    assert not record.verified and not record.summary().passed
    assert [line.result for line in record.summary().lines] == ["failed"]
    with pytest.raises(RequestError, match="is not verified"):
        scrub_purge(workspace, request.id)
    store.stubborn = False
    assert run(workspace, request).verified


def test_a_second_plan_adds_what_came_since_and_does_not_act_twice(deletion, monkeypatch) -> None:
    workspace, request = deletion
    store = Memory("cache", a=Holds.IMAGES)
    use_places(monkeypatch, at_10=[store])
    run(workspace, request)
    store.things = Memory("cache", b=Holds.IMAGES).things
    again = run(workspace, request)
    assert store.purged == ["a", "b"]
    assert [line.count for line in again.summary().lines] == [2]
    assert again.commitments == find_record(workspace, request.id).commitments


def test_what_stayed_until_a_date_is_destroyed_after_it(deletion, monkeypatch) -> None:
    workspace, request = deletion
    store = Memory("models", c=kept("models", "c", until="2026-01-31"))
    use_places(monkeypatch, at_30=[store])
    record = run(workspace, request)
    scrubbed = scrub_purge(workspace, request.id)
    assert not record.due("2026-01-30") and scrubbed.due("2026-01-31")
    assert scrubbed.scope is not None and not scrubbed.has_keys
    store.things = Memory("models", c=Holds.WEIGHTS).things  # the rule ran out: the store says so
    run(workspace, request)
    ended = scrub_purge(workspace, request.id)
    assert (store.things, ended.scope, ended.stays) == ({}, None, ())
    (model,) = ended.summary().models
    assert (model.trace.address, model.result) == ("c", "gone")


def test_what_cannot_be_found_without_the_keys_stays_until_its_date_and_is_destroyed_by_address(
    deletion, monkeypatch
) -> None:
    workspace, request = deletion
    store = Memory("s3", c=kept("s3", "c", until="2026-01-31"))
    store.needs_keys = True
    use_places(monkeypatch, at_10=[store])
    monkeypatch.setattr("tmu.purge.step.now", lambda: "2026-01-30T00:00:00+00:00")
    run(workspace, request)
    scrub_purge(workspace, request.id)
    assert run(workspace, request).stays and list(store.things) == ["c"]
    monkeypatch.setattr("tmu.purge.step.now", lambda: "2026-01-31T00:00:00+00:00")
    run(workspace, request)
    assert store.purged == ["c"] and scrub_purge(workspace, request.id).scope is None


def test_what_somebody_else_removed_is_done(deletion, monkeypatch) -> None:
    workspace, request = deletion
    store = Memory("cache", a=Holds.IMAGES)
    use_places(monkeypatch, at_10=[store])
    plan_purge(workspace, request)
    store.things.clear()
    assert plan_purge(workspace, request).left == ()


def test_a_scrubbed_record_leads_to_nobody_and_keeps_the_inventory(deletion, monkeypatch) -> None:
    workspace, request = deletion
    use_places(monkeypatch, at_10=[Memory("cache", **{"old/aa": Holds.IMAGES, "old/bb": Holds.IMAGES})])
    before = run(workspace, request)
    path = workspace.state("purges", f"{request.id}.json")
    assert {"aa", "bb"} <= set(read_json(path)["scope"]["records"]) and before.salt in path.read_text()
    scrub_purge(workspace, request.id)
    after = path.read_text()
    assert not any(word in after for word in ('"aa"', '"bb"', '"cc"', "old/", before.salt))
    assert path.stat().st_mode & 0o077 == 0
    (record,) = records(workspace)
    assert record.summary() == before.summary()
    assert scrub_purge(workspace, request.id) == record  # again changes nothing
    assert run(workspace, request) == record
    assert json.loads(record.summary().model_dump_json())["n_records"] == 2


def test_two_purges_of_the_same_keys_have_other_commitments(deletion) -> None:
    _, request = deletion
    first, second = (Record.of(scope(request)) for _ in range(2))
    assert first.commitments != second.commitments
    assert first.commitments["records"] != first.commitments["subjects"]


def test_a_damaged_record_is_refused_by_name(deletion) -> None:
    workspace, request = deletion
    workspace.state("purges").mkdir()
    workspace.state("purges", f"{request.id}.json").write_text("{")
    with pytest.raises(StorageError, match=f"{request.id}.json is damaged"):
        find_record(workspace, request.id)


def test_a_model_in_service_that_learned_the_person_keeps_a_purge_from_being_verified(deletion, monkeypatch) -> None:
    workspace, request = deletion
    serving = Trace(place="models", address="c", holds=Holds.WEIGHTS, action=Action.KEEP, why=WHY)
    use_places(monkeypatch, at_30=[Memory("models", c=serving)])
    with pytest.raises(RequestError, match="in service"):
        run(workspace, request)
    assert not find_record(workspace, request.id).verified


def test_what_is_back_makes_a_verified_purge_a_new_one_and_nothing_to_do_changes_no_time(deletion, monkeypatch) -> None:
    workspace, request = deletion
    store = Memory("cache", a=Holds.IMAGES)
    use_places(monkeypatch, at_10=[store])
    monkeypatch.setattr("tmu.purge.acting.now", lambda: "2026-01-01T00:00:00+00:00")
    run(workspace, request)
    monkeypatch.setattr("tmu.purge.acting.now", lambda: "2026-01-02T00:00:00+00:00")
    record = run(workspace, request)
    assert (record.acted[:10], bool(record.verified)) == ("2026-01-01", True)
    store.things = Memory("cache", a=Holds.IMAGES).things
    assert not plan_purge(workspace, request).verified  # so that an inventory is taken before it goes
    record = run(workspace, request)
    assert (record.acted[:10], bool(record.verified)) == ("2026-01-02", True)
