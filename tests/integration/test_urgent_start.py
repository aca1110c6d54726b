"""Starting the urgent lane on a real Prefect server: once for the same requests, and again for new ones."""

from typing import Any

import pytest

from tests.integration.conftest import make_workspace
from tests.integration.test_batch_flow import ask
from tmu.errors import StorageError
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("urgent") / "w")


@pytest.fixture
def client(prefect_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    from prefect.client.orchestration import get_client

    monkeypatch.setenv("PREFECT_API_URL", prefect_server["PREFECT_API_URL"])
    with get_client(sync_client=True) as made:
        yield made


def runs(client: Any) -> list[Any]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    wanted = DeploymentFilter(name=DeploymentFilterName(any_=["urgent-batch"]))
    return client.read_flow_runs(deployment_filter=wanted)


def test_a_deployment_that_is_missing_is_named(workspace: Workspace, client: Any) -> None:
    from infra.prefect_ops.urgent import start

    ask(workspace, "first", "contributor-001", urgent=True)
    with pytest.raises(StorageError, match="no deployment nightly-batch/urgent-batch"):
        start(workspace)


def test_the_same_requests_are_started_once_and_new_ones_again(workspace: Workspace, client: Any) -> None:
    from prefect.states import Completed

    from flows.nightly_batch import nightly_batch_flow
    from infra.prefect_ops.urgent import start

    client.create_deployment(client.create_flow(nightly_batch_flow), "urgent-batch")
    assert start(workspace) is True
    (run,) = runs(client)
    assert (run.parameters, run.state_type.value) == ({"lane": "urgent"}, "SCHEDULED")
    assert start(workspace) is False  # that run will serve it
    client.set_flow_run_state(run.id, Completed(), force=True)
    assert start(workspace) is False  # it ended just now without serving it: not every ten seconds again
    assert len(runs(client)) == 1
    ask(workspace, "second", "contributor-002", urgent=True)
    assert start(workspace) is True
    assert len(runs(client)) == 2
