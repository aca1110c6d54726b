"""A task outside of a run: a plain call with the retries of its task, that asks no server for anything."""

import socket
from pathlib import Path

import pytest

from tasks import plain
from tasks.common import RETRY_DELAYS, step_task
from tmu.errors import RequestError, StorageError
from tmu.steps.import_data import import_data  # noqa: F401 - a step, so that torch is there before sockets are watched
from tmu.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    return Workspace.open(tmp_path)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(plain.time, "sleep", waits.append)
    return waits


def failing(*errors: Exception) -> object:
    """A task that raises these, one a call, and then succeeds."""
    left = list(errors)

    @step_task("unlearn", gpu=True)
    def work(workspace: Workspace, number: int = 1) -> int:
        if left:
            raise left.pop(0)
        return number

    return work


def test_a_plain_call_gives_the_result_and_opens_no_connection(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was opened"))
    assert failing()(workspace, number=3) == 3


def test_what_may_pass_is_tried_again_after_the_tasks_delays(
    workspace: Workspace, slept: list[float], capsys: pytest.CaptureFixture
) -> None:
    assert failing(StorageError("The disk is full.", "Make room."), MemoryError())(workspace) == 1
    assert slept == RETRY_DELAYS[:2]
    said = capsys.readouterr().err
    assert "unlearn failed (The disk is full) and is tried again in 5 s" in said and "MemoryError" in said


def test_after_the_last_delay_the_error_is_the_answer(workspace: Workspace, slept: list[float]) -> None:
    errors = [StorageError(f"error {number}", "") for number in range(4)]
    with pytest.raises(StorageError, match="error 3"):
        failing(*errors)(workspace)
    assert slept == RETRY_DELAYS


def test_what_the_request_causes_is_not_tried_again(workspace: Workspace, slept: list[float]) -> None:
    with pytest.raises(RequestError):
        failing(RequestError("The class is left empty.", ""))(workspace)
    assert slept == []
