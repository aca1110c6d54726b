"""Processes that carry out a command of DVC's each: they end with whoever asked, and nothing depends on them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tmu.stores.dvc_waiting import Waiting


def test_a_command_that_is_interrupted_does_not_go_on_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], stdin=subprocess.PIPE)

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "communicate", interrupted)
    waiting = Waiting()
    waiting._processes.append(process)
    try:
        with pytest.raises(KeyboardInterrupt):
            waiting.run(["push"], tmp_path, {})
        assert process.poll() == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


def test_where_no_process_can_be_started_none_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refused)
    waiting = Waiting()
    waiting.start(3)
    assert waiting.run(["push"], tmp_path, {}) is None
