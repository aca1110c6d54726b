"""A legal hold stops every way to erase, before a byte is touched; and what was begun is finished."""

from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.data.digest import manifest
from tmu.data.erase import erase
from tmu.deletion.plan import Asked
from tmu.errors import RequestError
from tmu.ledger.actor import OPERATOR
from tmu.ledger.holds import Scope, hold, release
from tmu.ledger.place import open_ledger
from tmu.steps.acknowledge import forget_set
from tmu.steps.erase_data import erase_data, prepared
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan import plan_deletion
from tmu.workspace import Workspace

HELD, FREE = "contributor-003", "contributor-004"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "w")


def _hold(workspace: Workspace, scope: Scope) -> str:
    ledger = open_ledger(workspace)
    try:
        return hold(ledger, scope, "court order", OPERATOR)[0]
    finally:
        ledger.close()


def _erase(workspace: Workspace, person: str, *, by_record: bool = False) -> None:
    data, key = data_ref(workspace), workspace.keys(simulated=True).subject(person)
    index = open_store(workspace, data).index()
    records = index.keys_at(index.find_subject(key))[:2]
    plan = plan_deletion(workspace, Asked.of([] if by_record else [key], records if by_record else []))
    erase_data(workspace, data, forget_set(workspace, plan))


@pytest.mark.parametrize("kind", ["subject", "dataset", "all"])
@pytest.mark.parametrize("by_record", [False, True], ids=["the person", "two of their records"])
def test_what_is_held_is_not_erased(workspace: Workspace, kind: str, by_record: bool) -> None:
    key = workspace.keys(simulated=True).subject(HELD)
    scopes = {"subject": Scope("subject", subject=key), "dataset": Scope("dataset", "digits"), "all": Scope("all")}
    number, before = _hold(workspace, scopes[kind]), manifest(workspace.data)
    with pytest.raises(RequestError, match="legal hold"):
        _erase(workspace, HELD, by_record=by_record)
    assert manifest(workspace.data) == before
    ledger = open_ledger(workspace)
    release(ledger, number, "case closed", OPERATOR)
    ledger.close()
    _erase(workspace, HELD, by_record=by_record)
    assert manifest(workspace.data) != before


def test_others_are_not_held_back(workspace: Workspace) -> None:
    key, before = workspace.keys(simulated=True).subject(HELD), manifest(workspace.data)
    _hold(workspace, Scope("subject", subject=key))
    _hold(workspace, Scope("dataset", "another"))
    _erase(workspace, FREE)
    assert manifest(workspace.data) != before


def test_an_erasure_that_was_only_prepared_is_stopped_by_a_later_hold(workspace: Workspace) -> None:
    """Killed before the first shard was replaced, held, and gone on with."""
    plan = plan_deletion(workspace, Asked.of([workspace.keys(simulated=True).subject(HELD)], []))
    forget, before = forget_set(workspace, plan), manifest(workspace.data)
    erase(workspace.data, prepared(workspace, forget), plan.records)
    _hold(workspace, Scope("all"))
    with pytest.raises(RequestError, match="legal hold"):
        erase_data(workspace, plan.data, forget)
    assert manifest(workspace.data) == before


def test_an_erasure_that_was_done_is_not_stopped_by_a_later_hold(workspace: Workspace) -> None:
    data, key = data_ref(workspace), workspace.keys(simulated=True).subject(HELD)
    forget = forget_set(workspace, plan_deletion(workspace, Asked.of([key], [])))
    after = erase_data(workspace, data, forget)
    _hold(workspace, Scope("all"))
    assert erase_data(workspace, data, forget) == after  # a crash before the journal's entry asks for it again


def test_without_a_ledger_none_is_made(workspace: Workspace) -> None:
    _erase(workspace, FREE)
    assert not workspace.state("ledger.db").exists()


def test_the_flow_refuses_before_it_acknowledges(prefect_server: dict, workspace: Workspace) -> None:
    from flows.delete_local import delete_local_flow

    key = workspace.keys(simulated=True).subject(HELD)
    _hold(workspace, Scope("subject", subject=key))
    with pytest.raises(RequestError, match="legal hold"):
        delete_local_flow(home=str(workspace.root), subjects=[key])
    assert not list(workspace.state("requests").glob("*.json"))
