"""A whole deletion in the embedded workspace ends with a certificate that a stranger can verify."""

import pytest

from tests.integration.conftest import make_workspace
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
PEOPLE = [f"contributor-{number:03d}" for number in range(8)]


@pytest.fixture(scope="module")
def done(prefect_server: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict, list[str]]:
    """A workspace after its first deletion: (workspace, outcome, all keys of the people and their records)."""
    from flows.delete_local import delete_local_flow
    from tmu.steps.loading import data_ref, open_store

    workspace = make_workspace(tmp_path_factory.mktemp("workspace") / "w", audit={"golds": False}, purge={"act": True})
    subjects = [workspace.keys(simulated=True).subject(name) for name in PEOPLE]
    index = open_store(workspace, data_ref(workspace)).index()
    records = []
    outcome = delete_local_flow(home=str(workspace.root), subjects=subjects)
    return Workspace.open(workspace.root), outcome, [*subjects, *records]


def found(done: tuple[Workspace, dict, list[str]]) -> Deletion:
    return Journal(done[0]).find(done[1]["request"])


def test_it_is_issued_and_verifies(done: tuple[Workspace, dict, list[str]]) -> None:
    workspace, outcome, _ = done
    (issued,) = outcome["certificates"]
    assert issued.get("path"), issued
