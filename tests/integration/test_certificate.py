"""A whole deletion in the embedded workspace ends with a certificate that a stranger can verify."""

import base64
import json

import pytest
from tmu_verify.faults import Refused
from tmu_verify.verify import Against, verify

from tests.cli_tools import bad, good
from tests.integration.conftest import make_workspace
from tmu.certificate.keyring import Keyring
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.steps.loading import data_ref, open_store
from tmu.steps.stored_certificate import stored
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PEOPLE = [f"contributor-{number:03d}" for number in range(8)]
Done = tuple[Workspace, Deletion, dict, list[str]]


@pytest.fixture(scope="module")
def done(prefect_server: dict, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A workspace after a deletion, its outcome, and all keys of the people and their records."""
    from flows.delete_local import delete_local_flow

    folder = tmp_path_factory.mktemp("workspace") / "w"
    small = {"model": {"options": {"width": 4}}, "audit": {"golds": False, "probes": False}}
    workspace = make_workspace(folder, **small, purge={"act": True})
    subjects = [workspace.keys(simulated=True).subject(name) for name in PEOPLE]
    index = open_store(workspace, data_ref(workspace)).index()
    records = [key for subject in subjects for key in index.keys_at(index.find_subject(subject))]
    (folder.parent / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:  # other tests leave models and databases in the machine's own
        patch.setattr("tmu.search.haystacks.temporary.temporary_folders", lambda _: [folder.parent / "temporary"])
        outcome = delete_local_flow(home=str(workspace.root), subjects=subjects)
    workspace = Workspace.open(folder)
    return workspace, Journal(workspace).find(outcome["request"]), outcome, [*subjects, *records]


def test_it_is_issued_and_verifies(done: Done) -> None:
    workspace, deletion, outcome, _ = done
    (issued,) = outcome["certificates"]
    assert issued.get("path"), issued
    model = workspace.artifacts.fetch(deletion.outcome.serves.uri, deletion.outcome.serves.digest)
    against = Against(keys=Keyring(workspace).path, request=deletion.id, model=model)
    said = verify(workspace.root / issued["path"], against).statement.predicate
    assert said["making"]["data_after"] == deletion.data.digest
    assert said["scope"]["records"] == deletion.plan.n_records
    assert {each["result"] for each in said["inventory"]} <= {"gone", "stays", "nothing found"}
    assert any(each["fate"] == "destroyed" for each in said["models"])
    assert good(workspace.root, "certificate", "verify", deletion.id)["verified"] is True


def test_no_byte_of_it_can_be_another(done: Done) -> None:
    """Every 23rd byte; tests/unit/certificate flips each one of a certificate made by hand."""
    workspace, deletion, *_ = done
    path = stored(workspace, deletion.id)
    data = path.read_bytes()
    try:
        for position in range(0, len(data), 23):
            path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
            with pytest.raises(Refused):
                verify(path)
    finally:
        path.write_bytes(data)


def test_nothing_in_it_leads_to_a_person(done: Done) -> None:
    workspace, deletion, _, keys = done
    path = stored(workspace, deletion.id)
    text = base64.b64decode(json.loads(path.read_bytes())["payload"]).decode()
    assert len(keys) > len(PEOPLE)
    for secret in (*keys, *PEOPLE, "contributor-", str(workspace.root)):
        assert secret not in text


def test_a_swapped_model_is_caught(done: Done) -> None:
    workspace, deletion, *_ = done
    other = next(each.parent for each in workspace.state("artifacts").rglob("arch.json"))
    model = other if other.name not in deletion.outcome.serves.uri else other.parent
    line = bad(workspace.root, "verify", stored(workspace, deletion.id), "--model", model, code=16)
    assert "model_swapped" in line
