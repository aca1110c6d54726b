"""`tmu purge`: deletions that ended without a purge; what a rule kept too long; what a legal hold covers."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tests.integration.conftest import make_workspace
from tests.purge_tools import Memory, use_places
from tmu.cli import app
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import RequestError
from tmu.files import read_json, write_json
from tmu.ledger.actor import OPERATOR
from tmu.ledger.holds import Scope, hold, release
from tmu.ledger.place import opened
from tmu.purge.record import find_record, write_record
from tmu.purge.trace import Action, Holds, Trace
from tmu.search.report import Outcome
from tmu.steps.acknowledge import acknowledge
from tmu.steps.erase_data import erase_data
from tmu.steps.loading import forget_keys
from tmu.steps.plan import plan_deletion
from tmu.steps.purge_ended import purge_ended, unpurged
from tmu.steps.verify_all import verify_all
from tmu.workspace import Workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a completed deletion of an older version, which knew no purge."""
    workspace = make_workspace(tmp_path_factory.mktemp("verb") / "w")
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-007")], [])
    deletion, journal = acknowledge(workspace, plan_deletion(workspace, asked), asked), Journal(workspace)
    journal.advance(deletion, Stage.ERASED, data=erase_data(workspace, deletion.plan.data, deletion.forget))
    journal.advance(deletion, Stage.COMPLETED)
    path = workspace.state("requests", f"{deletion.id}.json")
    raw = read_json(path)
    raw.pop("purged")
    raw["params"].pop("purge")
    raw["plan"].pop("purge")
    write_json(path, raw)
    return workspace


@pytest.fixture
def done(made: Workspace, tmp_path: Path) -> tuple[Workspace, Deletion]:
    """A copy of it."""
    workspace = Workspace.open(shutil.copytree(made.root, tmp_path / "w", symlinks=True))
    return workspace, Journal(workspace).all()[0]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    rule = Trace(
        place="models", address="c", holds=Holds.WEIGHTS, action=Action.KEEP, why="A rule.", until="2999-01-01"
    )
    store = Memory("models", a=Holds.WEIGHTS, c=rule)
    use_places(monkeypatch, at_30=[store])
    # what the workspace itself still holds is not in these stores: the search would rightly find it
    monkeypatch.setattr("tmu.steps.purge_ended.search_deletion", lambda *_: SimpleNamespace(outcome=Outcome.PASS))
    return store


def tmu(workspace: Workspace, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["--home", str(workspace.root), "purge", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_looking_lists_each_trace_and_changes_nothing(done, stores) -> None:
    workspace, deletion = done
    before = {path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()}
    shown = tmu(workspace)
    assert "1 trace to destroy, 1 to stay" in shown and "A rule., 2999-01-01" in shown and "--yes" in shown
    (value,) = json.loads(tmu(workspace, "--json"))
    actions = [(step["trace"]["address"], step["trace"]["action"], step["state"]) for step in value["steps"]]
    assert actions == [("a", "destroy", "open"), ("c", "keep", "open")]
    text = json.dumps(value)
    assert not any(key in text for key in (*forget_keys(workspace, deletion.forget), *deletion.plan.subjects))
    assert {path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()} == before
    assert list(stores.things) == ["a", "c"]


def test_yes_destroys_it_and_the_journal_says_so(done, stores) -> None:
    workspace, deletion = done
    assert [each.id for each in unpurged(workspace)] == [deletion.id]
    assert "Purged: 1 trace in 1 store is gone; 1 stay (models: A rule, until 2999-01-01)." in tmu(workspace, "--yes")
    assert list(stores.things) == ["c"]
    ended = Journal(workspace).find(deletion.id)
    assert (ended.stage, ended.purged.passed, unpurged(workspace)) == (Stage.COMPLETED, True, [])
    assert not find_record(workspace, deletion.id).has_keys
    assert tmu(workspace) == tmu(workspace, "--due") == "There is nothing to purge.\n"


def test_what_a_rule_kept_is_named_when_it_ran_out_and_destroyed_when_due(done, stores, monkeypatch) -> None:
    workspace, deletion = done
    tmu(workspace, "--yes")
    record = find_record(workspace, deletion.id)
    assert "purges" not in verify_all(workspace).broken
    (step,) = record.steps
    past = step.trace.model_copy(update={"until": "2026-01-31"})
    write_record(workspace, record.model_copy(update={"steps": (step.model_copy(update={"trace": past}),)}))
    verified = verify_all(workspace)
    (check,) = (check for check in verified.checks if check.name == "purges")
    assert "purges" in verified.broken and f"{deletion.id}: models: c, until 2026-01-31" in check.found
    stores.things = Memory("models", c=Holds.WEIGHTS).things
    tmu(workspace, "--due", "--yes")
    assert stores.things == {} and "purges" not in verify_all(workspace).broken
    assert find_record(workspace, deletion.id).scope is None


def test_what_a_legal_hold_covers_stays_until_its_release(done, stores) -> None:
    workspace, deletion = done
    with opened(workspace) as ledger:
        number = hold(ledger, Scope("subject", subject=deletion.plan.subjects[0]), "court order", OPERATOR)[0]
    with pytest.raises(RequestError, match="legal hold covers request"):
        purge_ended(workspace, deletion.id)
    assert list(stores.things) == ["a", "c"]
    from flows.purge import keys_destroyed, purged

    put_off = purged(workspace, deletion)
    keys_destroyed(workspace, put_off)
    assert not put_off.purged.passed and find_record(workspace, deletion.id).has_keys
    assert put_off.purged.sentence.endswith("1 wait; it is not finished.")
    with opened(workspace) as ledger:
        release(ledger, number, "case closed", OPERATOR)
    assert purge_ended(workspace, deletion.id).summary().passed and list(stores.things) == ["c"]


def test_a_deletion_that_has_not_ended_is_not_purged(done, stores) -> None:
    workspace, deletion = done
    path = workspace.state("requests", f"{deletion.id}.json")
    write_json(path, read_json(path) | {"stage": "erased"})
    with pytest.raises(RequestError, match="is not completed"):
        purge_ended(workspace, deletion.id)
    assert list(stores.things) == ["a", "c"]


def test_what_is_purged_cannot_be_audited_again(done, stores) -> None:
    from flows.audit_flow import audit_flow

    workspace, deletion = done
    tmu(workspace, "--yes")
    path = workspace.state("requests", f"{deletion.id}.json")
    model = {"kind": "model", "uri": "model/1", "digest": "1", "weights": "1", "role": "unlearned"}
    write_json(path, read_json(path) | {"unlearned": model})
    with pytest.raises(RequestError, match=r"audit of request .* needs is purged"):
        audit_flow.fn(request=deletion.id, home=str(workspace.root))
