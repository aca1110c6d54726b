"""A hold or kill -9 around the moment at which the erasing of a batch begins; without a Prefect server."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.conftest import QUICK, make_workspace
from tests.ledger_tools import ALICE, BOB
from tmu.data.digest import manifest
from tmu.deletion.journal import Journal
from tmu.ledger import approvals, holds, views
from tmu.ledger.errors import HeldError
from tmu.ledger.intake import Intake, receive
from tmu.ledger.place import opened
from tmu.ledger.schema import audit_log
from tmu.ledger.states import State
from tmu.steps.ledger import batch
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.ledger.state_deletion import state_deletion
from tmu.steps.loading import data_ref, open_store
from tmu.steps.register_model import register_model
from tmu.steps.train_model import train_original
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A model in service, and one workspace for all tests: each has its own people."""
    made = make_workspace(tmp_path_factory.mktemp("late") / "w", train=QUICK["train"] | {"epochs": 1})
    data = data_ref(made)
    register_model(made, data, train_original(made, data, made.params), made.params)
    return made


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import runs

    monkeypatch.setattr(runs.PREFECT_API_URL, "value", lambda: None, raising=False)


def ask(workspace: Workspace, id_: str, person: str, *, urgent: bool = False) -> str:
    """An approved request; returns the person's key."""
    keys = workspace.keys(simulated=True)
    with opened(workspace) as ledger:
        receive(ledger, keys, Intake(id=id_, dataset="digits", subjects=(keys.subject(person),), urgent=urgent), ALICE)
        bound = plan_request(workspace, ledger, id_, ALICE, "retrain")
        approvals.approve(ledger, id_, bound.hash, BOB)
    return keys.subject(person)


def shown(workspace: Workspace, id_: str) -> dict[str, Any]:
    with opened(workspace) as ledger:
        return views.show(ledger, id_)


def logged(workspace: Workspace, event: str) -> list[str]:
    """The entries of the whole log, of batches, too."""
    with opened(workspace) as ledger, ledger.read() as connection:
        return list(connection.scalars(sa.select(audit_log.c.body).where(audit_log.c.event == event)))


def known(workspace: Workspace, key: str) -> bool:
    return bool(len(open_store(workspace, data_ref(workspace)).index().find_subject(key)))


def then_hold(real: Callable[..., Any], workspace: Workspace, key: str, *, first: bool) -> Callable[..., Any]:
    """`real`, with a hold on the person placed right before or after it, once."""
    placed: list[holds.Placed] = []

    def place() -> None:
        if not placed:
            with opened(workspace) as ledger:
                placed.append(holds.hold(ledger, holds.Scope("subject", subject=key), "court order", ALICE))

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if first:
            place()
        result = real(*arguments, **named)
        place()
        return result

    wrapped.placed = placed
    return wrapped


def test_a_hold_right_before_the_erasing_stops_the_batch_and_erases_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import observer
    from flows.serve_batch import serve, serve_one

    key, other = ask(workspace, "held", "contributor-001"), ask(workspace, "free", "contributor-002")
    before = manifest(workspace.data)
    monkeypatch.setattr(observer, "begin_erasing", then_hold(observer.begin_erasing, workspace, key, first=True))
    with pytest.raises(HeldError):
        serve_one(workspace, "normal")
    assert (shown(workspace, "held")["state"], shown(workspace, "free")["state"]) == (State.HELD, State.APPROVED)
    assert manifest(workspace.data) == before
    assert Journal(workspace).unfinished() == []
    assert [outcome["requests"] for outcome in serve(workspace, "normal")] == [1]
    assert (shown(workspace, "held")["state"], shown(workspace, "free")["state"]) == (State.HELD, State.COMPLETED)
    assert (known(workspace, key), known(workspace, other)) == (True, False)


def test_a_hold_after_the_erasing_stops_nothing_and_is_on_record(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import carry_out
    from flows.serve_batch import serve

    key = ask(workspace, "late", "contributor-003")
    erase = then_hold(carry_out.erase, workspace, key, first=False)
    monkeypatch.setattr(carry_out, "erase", erase)
    (outcome,) = serve(workspace, "normal")
    (placed,) = erase.placed
    assert placed.too_late == ["late"]
    assert shown(workspace, "late")["state"] == State.COMPLETED
    assert workspace.registry.get_alias("digits", "champion").version == outcome["champion"]
    assert len([entry for entry in logged(workspace, "published_under_hold") if '"late"' in entry]) == 1
    with opened(workspace) as ledger:
        assert [each["hold"] for each in state_deletion(workspace, ledger, "late")["holds_too_late"]] == [placed.id]


def child(workspace: Workspace, point: str, run: str = "-") -> subprocess.CompletedProcess[str]:
    """`serve` in a process of its own, for which no Prefect server is configured."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["PREFECT_HOME"] = str(workspace.state("prefect"))
    command = [sys.executable, str(Path(__file__).with_name("serve_child.py")), str(workspace.root), point, run]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.drill
def test_killed_as_the_erasing_begins_it_is_resumed_without_the_server_of_the_last_attempt_and_takes_effect_once(
    workspace: Workspace,
) -> None:
    """The attempt that was killed names a flow run of a Prefect server that is not configured any more."""
    from flows.serve_batch import serve

    key, before = ask(workspace, "killed", "contributor-004", urgent=True), manifest(workspace.data)
    versions = len(workspace.registry.versions("digits"))
    died = child(workspace, "begun", str(uuid.uuid4()))
    assert died.returncode == -9, died.stderr[-2000:]
    assert manifest(workspace.data) == before
    waiting = batch.open_work(workspace)
    assert waiting.ended is None
    assert Journal(workspace).of_batch(waiting.batch).stage == "acknowledged"
    done = child(workspace, "none")
    assert done.returncode == 0, done.stderr[-2000:]
    (outcome,) = json.loads(done.stdout.splitlines()[-1])
    assert (outcome["batch"], shown(workspace, "killed")["state"]) == (waiting.batch, State.COMPLETED)
    assert not known(workspace, key)
    mine = [entry for entry in logged(workspace, "erasing_began") if waiting.batch in entry]
    assert (len(mine), len([e for e in logged(workspace, "completed") if '"killed"' in e])) == (1, 1)
    made = workspace.registry.versions("digits")[versions:]
    assert len({(each.role, each.weights_sha256, each.tags["data_revision"]) for each in made}) == len(made)
    assert serve(workspace, "urgent") == []
