"""The journal tells the truth: what the data say decides what may be withdrawn or gone on with, and as what."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cli_tools import bad, good, tmu
from tests.integration.conftest import LAYOUT
from tests.ledger_tools import BOB
from tmu.cli import delete, flow
from tmu.data import erase as erasing
from tmu.data.digest import manifest
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import DataError, RequestError, StorageError
from tmu.ledger import approvals
from tmu.ledger.actor import OPERATOR
from tmu.ledger.holds import Scope, hold
from tmu.ledger.place import opened
from tmu.ledger.states import State
from tmu.steps.acknowledge import acknowledge, written_down
from tmu.steps.erase_data import erase_data, prepared
from tmu.steps.import_data import import_data
from tmu.steps.ledger.ask_ledger import ask_ledger, status_of
from tmu.steps.ledger.batch import take_work
from tmu.steps.ledger.plan_batch import plan_batch
from tmu.steps.loading import open_store
from tmu.steps.plan import plan_deletion
from tmu.steps.resume import refuse_other_data, resumed, withdraw
from tmu.steps.suppress import refuse_suppressed
from tmu.workspace import Workspace

PERSON = "contributor-005"


def named(workspace: Workspace, person: str = PERSON) -> Asked:
    return Asked.of([workspace.keys(simulated=True).subject(person)], [])


def acknowledged(workspace: Workspace, method: str | None = None) -> Deletion:
    """A deletion in the journal; what the stores say is asked elsewhere (`test_preflight.py`)."""
    return written_down(workspace, plan_deletion(workspace, named(workspace), method), named(workspace))


def test_an_id_is_random_so_that_nobody_can_test_a_person_against_it(workspace: Workspace) -> None:
    plan = plan_deletion(workspace, named(workspace))
    first = acknowledged(workspace)
    Journal(workspace).withdraw(first)
    second = acknowledged(workspace)
    assert len({plan.id, first.id, second.id}) == 3 and first.plan.id == first.id
    assert plan.id not in workspace.state("requests", f"{second.id}.json").read_text()


def erase_a_part(workspace: Workspace, deletion: Deletion, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shards of a deletion, but the last of them: as after kill -9 between two."""
    real, left = os.replace, [len(deletion.plan.shards) - 1]

    class Os:
        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def replace(self, *paths: object) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            real(*paths)

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "os", Os())
        with pytest.raises(KeyboardInterrupt):
            erase_data(workspace, deletion.plan.data, deletion.forget)


def two_shards(workspace: Workspace) -> Deletion:
    """A deletion of two people, so that it touches more than one shard."""
    keys = workspace.keys(simulated=True)
    both = Asked.of([keys.subject(PERSON), keys.subject("contributor-006"), keys.subject("contributor-007")], [])
    deletion = written_down(workspace, plan_deletion(workspace, both), both)
    assert len(deletion.plan.shards) > 1
    return deletion


@pytest.mark.parametrize("stage", [Stage.ACKNOWLEDGED, Stage.ERASING])
def test_what_is_half_erased_is_not_withdrawn_whatever_the_journal_says(
    workspace: Workspace, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletion = Journal(workspace).advance(two_shards(workspace), stage)
    before = manifest(workspace.data)
    erase_a_part(workspace, deletion, monkeypatch)
    assert manifest(workspace.data) != before
    with pytest.raises(RequestError, match=r"point of no return: \d+ of \d+ records are erased") as refused:
        withdraw(workspace, deletion.id)
    assert f"--resume {deletion.id}" in refused.value.hint
    refuse_other_data(workspace, deletion)  # and it can be gone on with
    erase_data(workspace, deletion.plan.data, deletion.forget)
    assert Journal(workspace).find(deletion.id).stage is stage


def test_pictures_that_were_listed_as_erased_are_free_again_when_the_request_is_withdrawn(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right before the first shard is replaced; else every training would refuse the records that stay."""
    deletion = Journal(workspace).advance(acknowledged(workspace), Stage.ERASING)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tmu.steps.erase_data.apply_in_place", killed)
        erase_data(workspace, deletion.plan.data, deletion.forget)
    store = open_store(workspace, deletion.plan.data)
    with pytest.raises(DataError, match="pictures that were erased"):
        refuse_suppressed(workspace, store)
    withdraw(workspace, deletion.id)
    refuse_suppressed(workspace, store)
    again = acknowledged(workspace)
    erase_data(workspace, again.plan.data, again.forget)
    with pytest.raises(DataError, match="pictures that were erased"):
        refuse_suppressed(workspace, store)


def test_an_intent_of_which_no_byte_was_carried_out_is_withdrawn_with_what_was_prepared(workspace: Workspace) -> None:
    deletion = Journal(workspace).advance(acknowledged(workspace), Stage.ERASING)
    shutil.copytree(workspace.data, prepared(workspace, deletion.forget))
    before = manifest(workspace.data)
    assert withdraw(workspace, deletion.id).stage is Stage.WITHDRAWN
    assert not prepared(workspace, deletion.forget).exists()
    assert manifest(workspace.data) == before
    with pytest.raises(RequestError, match="withdrawn already"):
        withdraw(workspace, deletion.id)
    with pytest.raises(RequestError, match="withdrawn already"):
        resumed(workspace, deletion.id)
    with pytest.raises(RequestError, match="was withdrawn meanwhile"):
        Journal(workspace).advance(deletion, Stage.ERASED)


_RUNNING = """
import sys, time
from tmu.deletion.journal import Journal
from tmu.workspace import Workspace
with Journal(Workspace.open(sys.argv[1])).running():
    print("running", flush=True)
    time.sleep(600)
"""


def test_withdrawing_during_a_live_run_is_refused_and_after_kill_9_it_is_not(workspace: Workspace) -> None:
    deletion = acknowledged(workspace)
    command = [sys.executable, "-c", _RUNNING, str(workspace.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout.readline() == "running\n"
            with pytest.raises(RequestError, match="Another process is carrying out"):
                withdraw(workspace, deletion.id)
            assert Journal(workspace).find(deletion.id).open
        finally:
            run.kill()
    assert withdraw(workspace, deletion.id).stage is Stage.WITHDRAWN


def test_a_resumed_deletion_keeps_its_method_and_its_audit(workspace: Workspace) -> None:
    deletion = acknowledged(workspace, "auto")
    assert deletion.params.unlearn.method == deletion.plan.choice.method != "auto"
    assert resumed(workspace, deletion.id) == resumed(workspace, deletion.id, method="auto") == deletion
    with pytest.raises(RequestError, match="was acknowledged with the method"):
        resumed(workspace, deletion.id, method="finetune")
    with pytest.raises(RequestError, match="acknowledged with an audit"):
        resumed(workspace, deletion.id, audited=False)
    home = workspace.root
    bad(home, "delete", "--resume", deletion.id, "--method", deletion.method, code=2)
    bad(home, "delete", "--resume", deletion.id, "--withdraw", deletion.id, code=2)
    again = tmu(home, "delete", "--subject", PERSON, "--method", "finetune", "--yes")
    assert (again.exit_code, "was acknowledged with the method" in again.stderr) == (3, True)


def test_the_parameters_are_those_of_the_request_whatever_params_yaml_says(workspace: Workspace) -> None:
    before = acknowledged(workspace).params
    change(workspace, train={"epochs": 1}, seed=5)
    (found,) = Journal(Workspace.open(workspace.root)).all()
    assert found.params == before != Workspace.open(workspace.root).params


def change(workspace: Workspace, **values: object) -> None:
    path = workspace.root / "params.yaml"
    raw = yaml.safe_load(path.read_text())
    for name, value in values.items():
        raw[name] = raw[name] | value if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(raw))


def drop_a_shard_record(workspace: Workspace) -> None:
    """Other data: another person is erased from them."""
    other = named(workspace, "contributor-009")
    from tmu.steps.acknowledge import forget_set

    plan = plan_deletion(workspace, other)
    erase_data(workspace, plan.data, forget_set(workspace, plan))


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (lambda workspace: change(workspace, train={"epochs": 1}), r"`train\.epochs` in params\.yaml has changed"),
        (
            lambda workspace: change(workspace, auto={"requests_per_references": 3}),
            r"`auto\.requests_per_references` in params",
        ),
        (drop_a_shard_record, "The data have changed"),
    ],
    ids=["train", "auto", "data"],
)
def test_a_plan_that_was_shown_is_not_run_on_what_changed_since(
    workspace: Workspace, meanwhile: Callable[[Workspace], None], words: str
) -> None:
    plan = plan_deletion(workspace, named(workspace))
    meanwhile(workspace)
    with pytest.raises(RequestError, match=words):
        acknowledge(workspace, plan, named(workspace))
    assert Journal(workspace).all() == []


def test_params_that_change_while_somebody_reads_the_plan_stop_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delete, "confirm", lambda *_: change(workspace, unlearn={"method": "finetune"}))
    said = bad(workspace.root, "delete", "--subject", PERSON, code=3)
    assert "`unlearn.method` in params.yaml has changed since the plan was shown." in said
    assert Journal(workspace).all() == []


def test_data_that_are_not_the_plans_are_found_before_a_byte_is_erased(workspace: Workspace) -> None:
    old = workspace.root / "old"
    shutil.copytree(workspace.data, old)
    drop_a_shard_record(workspace)
    deletion = acknowledged(workspace)
    shutil.rmtree(workspace.data)
    old.rename(workspace.data)  # the older revision is back
    with pytest.raises(DataError, match="not the revision that request") as found:
        refuse_other_data(workspace, deletion)
    assert deletion.plan.data.digest in found.value.hint
    assert withdraw(workspace, deletion.id).stage is Stage.WITHDRAWN  # not a byte of it was erased


def test_erased_records_that_came_back_are_found(workspace: Workspace) -> None:
    old = workspace.root / "old"
    shutil.copytree(workspace.data, old)
    deletion = acknowledged(workspace)
    after = erase_data(workspace, deletion.plan.data, deletion.forget)
    deletion = Journal(workspace).advance(deletion, Stage.ERASED, data=after)
    refuse_other_data(workspace, deletion)
    shutil.rmtree(workspace.data)
    old.rename(workspace.data)
    with pytest.raises(DataError, match="erased records are back"):
        refuse_other_data(workspace, deletion)
    with pytest.raises(RequestError, match="point of no return"):
        withdraw(workspace, deletion.id)


def waiting(home: Path, *words: str) -> dict:
    """What `tmu delete` says while nothing is erased: a script must not take it for a deletion."""
    result = tmu(home, *words, "--json")
    assert result.exit_code == 8, result.output
    return json.loads(result.stdout)


def test_where_a_ledger_is_tmu_delete_goes_by_its_rules(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    home, before, served = workspace.root, manifest(workspace.data), []
    monkeypatch.setattr(flow, "load", lambda name: lambda **given: served.append((name, given)) or [])
    local = acknowledged(workspace)
    with opened(workspace):
        pass  # there is a ledger now
    assert "has a ledger" in bad(home, "delete", "--resume", local.id, code=3)
    withdraw(workspace, local.id)
    plan = plan_deletion(workspace, named(workspace))
    with pytest.raises(RequestError, match="has a ledger"):
        acknowledge(workspace, plan, named(workspace))
    words = ("delete", "--subject", PERSON, "--method", "retrain", "--yes")
    first = waiting(home, *words)
    assert (first["state"], first["batches"]) == ("awaiting_approval", [])
    assert waiting(home, *words) == first  # the same request, not a second one
    assert first["plan_hash"] in tmu(home, *words).stdout
    assert (served, manifest(workspace.data)) == ([], before)
    with opened(workspace) as ledger:
        approvals.approve(ledger, first["request"], first["plan_hash"], BOB)
    assert waiting(home, *words[:3], "--yes")["state"] == "approved"
    assert served == [("serve", {"home": str(home)})]
    assert Journal(workspace).unfinished() == []
    assert "audited" in bad(home, *words, "--no-audit", code=2)


def approved(workspace: Workspace) -> str:
    found = ask_ledger(workspace, named(workspace), "retrain")
    with opened(workspace) as ledger:
        approvals.approve(ledger, found.request, found.plan_hash, BOB)
    return found.request


def test_a_batch_is_not_served_by_other_parameters_than_were_approved(workspace: Workspace) -> None:
    approved(workspace)
    work = take_work(workspace, "urgent")
    change(workspace, train={"epochs": 2})
    with pytest.raises(RequestError, match=r"params\.yaml is not what the plan .* was approved with"):
        plan_batch(workspace.reread(), work)
    assert Journal(workspace).all() == []
    change(workspace, train={"epochs": 4})
    assert plan_batch(workspace.reread(), work).asked.batch == work.batch


def test_a_batch_of_the_ledger_is_neither_resumed_nor_withdrawn_past_it(workspace: Workspace) -> None:
    approved(workspace)
    deletion = plan_batch(workspace, take_work(workspace, "urgent"))
    with pytest.raises(RequestError, match="of the ledger"):
        withdraw(workspace, deletion.id)
    Journal(workspace).advance(deletion, Stage.ERASING)
    with pytest.raises(RequestError, match="of the ledger"):
        resumed(workspace, deletion.id)


def test_no_data_are_imported_while_a_batch_is_open_or_a_request_unfinished(workspace: Workspace) -> None:
    approved(workspace)
    take_work(workspace, "urgent")
    before = manifest(workspace.data)
    with pytest.raises(RequestError, match=r"Batch \w+ of dataset digits is open"):
        import_data(workspace, "digits", {}, replace=True, **LAYOUT)
    assert manifest(workspace.data) == before


def test_a_hold_between_approval_and_erasing_stops_the_request_of_the_command_line(workspace: Workspace) -> None:
    request = approved(workspace)
    with opened(workspace) as ledger:
        placed = hold(ledger, Scope("subject", subject=named(workspace).subjects[0]), "court order", OPERATOR)
    assert (placed.stopped, status_of(workspace, request)) == ([request], State.HELD)
    assert take_work(workspace, "urgent") is None
    assert "legal hold covers" in tmu(workspace.root, "delete", "--subject", PERSON, "--yes").stdout


def format_1(deletion: Deletion, **more: object) -> dict:
    """The same as earlier versions wrote it."""
    raw = deletion.model_dump(mode="json")
    plan = {name: value for name, value in raw["plan"].items() if name not in ("choice", "rules", "stays")}
    kept = {name: raw[name] for name in ("id", "stage", "forget", "times")}
    asked = [list(deletion.asked.subjects), list(deletion.asked.records)]
    del plan["records_digest"]
    return kept | {"plan": plan, "method": deletion.method, "asked": asked, "choice": raw["plan"]["choice"]} | more


def test_the_files_of_earlier_versions_are_read(workspace: Workspace) -> None:
    deletion = acknowledged(workspace)
    path = workspace.state("requests", f"{deletion.id}.json")
    path.write_text(json.dumps(format_1(deletion)))
    (found,) = Journal(workspace).all()
    assert (found.stage, found.method, found.asked) == (deletion.stage, deletion.method, deletion.asked)
    assert found.params == workspace.params.with_method(deletion.method)
    assert withdraw(workspace, deletion.id).stage is Stage.WITHDRAWN
    assert json.loads(path.read_text())["format"] == 2
    model = {"kind": "model", "uri": "model/1", "digest": "1", "weights": "w", "role": "unlearned"}
    audit = {"audit": {"kind": "audit", "uri": "audit/1", "digest": "1"}, "versions": {"original": 1, "tmu-soft": 2}}
    audit |= {"verdict": {"row": "tmu-soft", "passed": True, "conclusive": True, "reasons": ["pass: x."]}}
    audit |= {"champion": 2, "serves": model, "service": "It serves.", "compare": "http://x"}
    done = format_1(deletion, stage="completed", unlearned=model, base=model, data=deletion.plan.data.model_dump())
    path.write_text(json.dumps(done | audit))
    assert good(workspace.root, "show", "request", deletion.id)["outcome"]["champion"] == 2
    assert good(workspace.root, "show", "requests")[0]["stage"] == "completed"
    path.write_text(json.dumps({"format": 9}))
    with pytest.raises(StorageError, match="later version"):
        Journal(workspace).all()
