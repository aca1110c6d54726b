"""A request by a form: what the code was given for is what is approved, and an empty form is refused in words."""

import pytest

from tests.integration.conftest import make_workspace
from tests.ledger_tools import ALICE, BOB, begun
from tmu.data.info import read_info
from tmu.errors import RequestError
from tmu.ledger import approval_codes, views
from tmu.ledger.errors import ConflictError
from tmu.ledger.place import opened
from tmu.ledger.states import State
from tmu.steps.ledger import form_request as form
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.store_keys import keys_of
from tmu.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("form") / "w")


def received(workspace: Workspace, id_: str) -> None:
    key = workspace.keys(simulated=True).subject("contributor-007")
    form.receive_form(workspace, id_, "support-1", [key], [], urgent=False)
    assert form.plan_form(workspace, id_, "retrain") is State.AWAITING_APPROVAL


def code_of(workspace: Workspace, id_: str) -> str:
    with opened(workspace) as ledger:
        keys = keys_of(workspace, read_info(workspace.data))
        return approval_codes.issue(keys, ledger, id_, form.plan_shown(workspace, id_).hash, BOB)[0]


def test_a_code_approves_the_plan_that_its_person_saw(workspace: Workspace) -> None:
    received(workspace, "f1")
    code = code_of(workspace, "f1")
    assert form.decide_form(workspace, "f1", form.Decision(approve=True, code=code)) is State.APPROVED


def test_a_plan_that_changes_between_code_and_approval_is_not_approved(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    received(workspace, "f2")
    code, real = code_of(workspace, "f2"), approval_codes.redeem

    def then_planned_anew(*arguments: object) -> object:
        found = real(*arguments)
        with opened(workspace) as ledger:
            plan_request(workspace, ledger, "f2", ALICE, "finetune")
        return found

    monkeypatch.setattr(approval_codes, "redeem", then_planned_anew)
    with pytest.raises(ConflictError):
        form.decide_form(workspace, "f2", form.Decision(approve=True, code=code))
    with opened(workspace) as ledger:
        assert views.show(ledger, "f2")["state"] == State.AWAITING_APPROVAL


def test_a_form_that_names_nobody_is_refused_in_words(workspace: Workspace) -> None:
    with pytest.raises(RequestError, match="names no person"):
        form.receive_form(workspace, "f3", "support-1", [], [], urgent=False)


def test_a_run_that_starts_anew_without_its_keys_goes_on_with_what_has_begun(workspace: Workspace) -> None:
    """And with nothing else: no form without keys gets at a request that still waits."""
    received(workspace, "f4")
    with pytest.raises(RequestError, match="names no person"):
        form.receive_form(workspace, "f4", "support-1", [], [], urgent=False)
    assert form.decide_form(workspace, "f4", form.Decision(approve=True, code=code_of(workspace, "f4")))
    with opened(workspace) as ledger:
        begun(ledger, "digits")
    assert form.receive_form(workspace, "f4", "support-1", [], [], urgent=False) is State.FORGETTING_DATA
