"""Approved urgent requests are started whatever approved them, also after the orchestrator was away for a while."""

import asyncio
import logging
from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tests.integration.test_batch_flow import ask
from tmu.errors import StorageError
from tmu.service import app, starter
from tmu.service.starter import Starter
from tmu.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("starter") / "w")


class Orchestrator:
    """Starts what it is asked to, unless it is away."""

    def __init__(self) -> None:
        self.asked, self.away, self.busy = 0, False, False

    def __call__(self, workspace: Workspace) -> bool:
        self.asked += 1
        if self.away:
            raise StorageError("Prefect's server does not answer.", "Start it: `make up`.")
        return not self.busy


@pytest.fixture
def orchestrator() -> Orchestrator:
    return Orchestrator()


def test_nothing_approved_starts_nothing_and_the_normal_lane_waits(
    workspace: Workspace, orchestrator: Orchestrator
) -> None:
    ask(workspace, "normal", "contributor-001")
    Starter(workspace, [orchestrator]).look()
    assert orchestrator.asked == 0


def test_an_urgent_request_that_the_ledger_has_approved_is_started(
    workspace: Workspace, orchestrator: Orchestrator, caplog: pytest.LogCaptureFixture
) -> None:
    ask(workspace, "urgent", "contributor-002", urgent=True)
    with caplog.at_level(logging.INFO, "tmu.service"):
        Starter(workspace, [orchestrator]).look()
    assert orchestrator.asked == 1
    assert "started the urgent lane for 1 requests" in caplog.text


def test_an_orchestrator_that_is_away_is_asked_again_and_logged_once(
    workspace: Workspace, orchestrator: Orchestrator, caplog: pytest.LogCaptureFixture
) -> None:
    looking = Starter(workspace, [orchestrator])
    orchestrator.away = True
    with caplog.at_level(logging.INFO, "tmu.service"):
        looking.look()
        looking.look()
        orchestrator.away = False
        looking.look()
    assert orchestrator.asked == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_the_service_looks_for_as_long_as_it_runs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from tmu.ledger.place import open_ledger

    looks = []
    monkeypatch.setattr(starter, "SECONDS", 0.01)
    monkeypatch.setattr(Starter, "look", lambda self: looks.append(self.workspace.root))
    ledger = open_ledger(workspace)
    service = app.create_app(workspace, ledger)

    async def run() -> None:
        async with service.router.lifespan_context(service):
            while len(looks) < 3:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 30))
    ledger.close()
    assert set(looks) == {workspace.root}


def test_prefect_is_found_by_its_entry_point(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.prefect_ops.urgent import start

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert Starter(workspace)._found() == [start]
    assert start(workspace) is False  # no server is configured: there is nothing to start


def test_a_server_that_is_away_is_an_error_that_names_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.prefect_ops.urgent import start

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(StorageError, match="does not answer"):
        start(Workspace.open(Path(workspace.root)))
