"""The flows offered on a Prefect server: a run asked for from outside is picked up, and bad input is refused there."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(prefect_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace whose flows a child process serves."""
    from prefect.client.orchestration import get_client

    workspace = make_workspace(tmp_path_factory.mktemp("served") / "w")
    environment = os.environ | prefect_server
    command = [sys.executable, "-m", "flows.serve", str(workspace.root)]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment)
    try:
        with get_client(sync_client=True) as client:
            _wait(lambda: len(client.read_deployments()) >= 5, seconds=120)
        yield workspace
    finally:
        child.terminate()
        child.wait(timeout=60)


def test_a_deletion_asked_for_on_the_server_is_done(served: Workspace) -> None:
    from prefect.deployments import run_deployment

    key = served.keys(simulated=True).subject("contributor-003")
    run = run_deployment("delete/delete", parameters={"subjects": [key], "audit": False}, timeout=300, poll_interval=2)
    assert run.state.is_completed(), run.state
    candidate = Workspace.open(served.root).registry.get_alias("digits", "candidate")
    assert candidate.role == "unlearned"


def test_a_raw_id_is_refused_by_the_server_itself(served: Workspace) -> None:
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment
    from prefect.exceptions import PrefectHTTPStatusError

    with pytest.raises(PrefectHTTPStatusError, match="409"):
        run_deployment("delete/delete", parameters={"subjects": ["contributor-004"]}, timeout=0)
    with get_client(sync_client=True) as client:
        assert not [run for run in client.read_flow_runs() if "contributor-004" in str(run.parameters)]


def _wait(ready: object, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, "the flows were not served in time"
        time.sleep(1)
