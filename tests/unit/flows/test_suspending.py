"""A run that waits for a person is silent: a late heartbeat would have it marked as crashed."""

from types import SimpleNamespace
from uuid import UUID, uuid4

import prefect.flow_engine
import pytest
from prefect.events.worker import EventsWorker
from prefect.exceptions import Pause
from prefect.flow_engine import BaseFlowRunEngine

from flows import runs


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> UUID:
    found = uuid4()
    monkeypatch.setattr(runs, "flow_run", SimpleNamespace(id=str(found)))
    worker = SimpleNamespace(wait_until_empty=lambda: None)
    monkeypatch.setattr(EventsWorker, "instance", lambda: worker)
    # as Prefect defines it, and put back after the test
    monkeypatch.setattr(BaseFlowRunEngine, "_emit_flow_run_heartbeat", BaseFlowRunEngine._emit_flow_run_heartbeat)
    monkeypatch.setattr(runs, "_SILENT", set())
    return found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(
        prefect.flow_engine, "emit_event", lambda event, resource, related: found.append(resource["id"])
    )
    return found


def _beat(run: UUID) -> None:
    engine = SimpleNamespace(flow_run=SimpleNamespace(id=run))
    BaseFlowRunEngine._emit_flow_run_heartbeat(engine, {"id": str(run)}, [])


def test_no_heartbeat_leaves_from_the_suspension_to_the_end_of_the_process(run: UUID, sent: list[str]) -> None:
    other = uuid4()
    _beat(run)
    assert sent == [str(run)]
    with pytest.raises(Pause), runs.suspending(0):
        _beat(run)
        raise Pause
    _beat(run)
    _beat(other)
    assert sent == [str(run), str(other)]


def test_a_run_that_has_its_answer_is_heard_again(run: UUID, sent: list[str]) -> None:
    for _ in range(2):
        with runs.suspending(0):
            pass
        _beat(run)
    with pytest.raises(ValueError, match="refused"), runs.suspending(0):
        raise ValueError("refused")
    _beat(run)
    assert sent == [str(run)] * 3
