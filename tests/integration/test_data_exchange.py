"""The data are exchanged while requests are open: by an import with --replace, or by an old revision put back."""

import pytest

from tests.integration.conftest import LAYOUT
from tests.ledger_tools import ALICE, BOB
from tmu.data.digest import manifest
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.plan import Asked
from tmu.errors import DataError, RequestError
from tmu.ledger import approvals, executions, views
from tmu.ledger.actor import SYSTEM
from tmu.ledger.intake import Intake, receive
from tmu.ledger.place import opened
from tmu.ledger.states import State
from tmu.steps.acknowledge import forget_set
from tmu.steps.erase_data import erase_data
from tmu.steps.import_data import import_data
from tmu.steps.ledger.batch import Work, finish, reach, take_work
from tmu.steps.ledger.bind_plans import plan_request
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan import plan_deletion
from tmu.steps.verify_all import verify_all
from tmu.workspace import Workspace

PERSON, OTHER = "contributor-003", "contributor-004"
OTHERWISE = LAYOUT | {"split_seed": 1}
"""Another layout of the same records: the same people, other numbers in their plans."""


def _ask(workspace: Workspace, id_: str, person: str) -> None:
    """A request brought to `approved`."""
    keys = workspace.keys(simulated=True)
    with opened(workspace) as ledger:
        receive(ledger, keys, Intake(id=id_, dataset="digits", subjects=(keys.subject(person),)), ALICE)
        approvals.approve(ledger, id_, plan_request(workspace, ledger, id_, ALICE, "retrain").hash, BOB)


def _state(workspace: Workspace, id_: str) -> str:
    with opened(workspace) as ledger:
        return views.show(ledger, id_)["state"]


def _erase(workspace: Workspace, person: str) -> None:
    data = data_ref(workspace)
    plan = plan_deletion(workspace, Asked.of([workspace.keys(simulated=True).subject(person)], []))
    erase_data(workspace, data, forget_set(workspace, plan))


def _complete(workspace: Workspace, work: Work) -> None:
    for state in (State.PROMOTING, State.PURGING, State.VERIFYING):
        reach(workspace, work, state)
    finish(workspace, work, "completed")


def test_an_import_while_a_request_is_approved_voids_an_approval_of_other_records(workspace: Workspace) -> None:
    _ask(workspace, "r1", PERSON)
    import_data(workspace, "digits", {}, replace=True, **LAYOUT)  # the very same data: nothing to ask again
    work = take_work(workspace, "normal")
    assert work is not None
    with opened(workspace) as ledger:
        executions.stand_back(ledger, work.token, SYSTEM)
    import_data(workspace, "digits", {}, replace=True, **OTHERWISE)
    assert take_work(workspace, "normal") is None
    assert _state(workspace, "r1") == State.AWAITING_APPROVAL


def test_an_import_while_a_batch_is_open_is_refused(workspace: Workspace) -> None:
    """Also before the journal knows of the batch: a kill may lie between the two."""
    _ask(workspace, "r1", PERSON)
    work, before = take_work(workspace, "normal"), manifest(workspace.data)
    with pytest.raises(RequestError, match=f"Batch {work.batch} of dataset digits is open"):
        import_data(workspace, "digits", {}, replace=True, **OTHERWISE)
    assert manifest(workspace.data) == before
    _erase(workspace, PERSON)
    _complete(workspace, work)
    import_data(workspace, "digits", {}, replace=True, **LAYOUT)
    assert verify_all(workspace).broken == []


def test_an_import_under_another_name_does_not_orphan_open_requests(workspace: Workspace) -> None:
    _ask(workspace, "r1", PERSON)
    before = manifest(workspace.data)
    with pytest.raises(RequestError, match="1 requests for dataset digits are open"):
        import_data(workspace, "digits", {}, dataset="faces", replace=True, **LAYOUT)
    assert manifest(workspace.data) == before


def test_an_old_revision_that_is_put_back_is_found_out(workspace: Workspace) -> None:
    """Data and data.dvc are both of the day before: they agree with each other, and know nothing of the deletion."""
    old, pointer = data_ref(workspace), (workspace.root / "data.dvc").read_bytes()
    _ask(workspace, "r1", PERSON)
    work = take_work(workspace, "normal")
    _erase(workspace, PERSON)
    _complete(workspace, work)
    _ask(workspace, "r2", OTHER)
    assert verify_all(workspace).broken == []
    new = (workspace.root / "data.dvc").read_bytes()

    (workspace.root / "data.dvc").write_bytes(pointer)
    workspace.versions._dvc("checkout", "--force", "data.dvc")
    assert data_ref(workspace).digest == old.digest
    key = workspace.keys(simulated=True).subject(PERSON)
    assert len(open_store(workspace, old).index().find_subject(key))
    assert verify_all(workspace).broken == ["forgotten"]
    for attempt in (
        lambda: take_work(workspace, "normal"),
        lambda: import_data(workspace, "digits", {}, replace=True, **LAYOUT),  # would lose the tombstone for good
    ):
        with pytest.raises(DataError, match=r"hold \d+ records that were erased"):
            attempt()
    assert _state(workspace, "r2") == State.APPROVED

    (workspace.root / "data.dvc").write_bytes(new)
    workspace.versions._dvc("checkout", "--force", "data.dvc")
    assert verify_all(workspace).broken == []
    assert take_work(workspace, "normal").requests == ("r2",)


def test_an_old_revision_put_back_during_a_batch_goes_into_no_service(workspace: Workspace) -> None:
    """Between erasing and promotion: what was erased is back, and the deletion does not end as completed."""
    from tmu.steps.verify_deletion import verify_deletion

    pointer = (workspace.root / "data.dvc").read_bytes()
    data = data_ref(workspace)
    asked = Asked.of([workspace.keys(simulated=True).subject(PERSON)], [])
    plan = plan_deletion(workspace, asked).model_copy(update={"n_train": 0})  # as if no model had learned them
    deletion = Deletion.acknowledged(plan, asked, workspace.params, forget_set(workspace, plan))
    deletion = deletion.reached(Stage.ERASED, data=erase_data(workspace, data, deletion.forget))
    verify_deletion(workspace, deletion)
    (workspace.root / "data.dvc").write_bytes(pointer)
    workspace.versions._dvc("checkout", "--force", "data.dvc")
    with pytest.raises(DataError, match="records are still in the data"):
        verify_deletion(workspace, deletion)
