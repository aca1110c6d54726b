"""What the first plan needs is loaded in the background: the start does not wait for it, nor does the first plan."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.service_tools import Api
from tmu.service import app
from tmu.service.warm import WarmUp

_FRESH = """
import sys, threading
from tmu.service.warm import WarmUp
import tmu.service.app, tmu.service.plans
assert "torch" not in sys.modules, "the start loads torch"
warm = WarmUp()
warm.start()
[thread.join() for thread in threading.enumerate() if thread.name == "warm-up"]
before = set(sys.modules)
from tmu.steps.ledger.bind_plans import plan_request, plan_requests
from tmu.unlearn import method_names
assert "torch" in before and not set(sys.modules) - before, set(sys.modules) - before
"""


def test_after_the_warm_up_a_plan_has_nothing_left_to_load() -> None:
    done = subprocess.run([sys.executable, "-c", _FRESH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_runs_while_the_service_does(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Noted(WarmUp):
        def start(self) -> None:
            said.append("start")

        def stop(self) -> None:
            said.append("stop")

    monkeypatch.setattr(app, "WarmUp", Noted)
    with TestClient(api.app) as client:
        assert client.get("/health").is_success
        assert said == ["start"]
    assert said == ["start", "stop"]


def test_it_ends_after_the_import_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_load.py").write_text("import slow_gate\nslow_gate.began.set()\nslow_gate.go_on.wait(20)\n")
    (tmp_path / "slow_gate.py").write_text("import threading\nbegan, go_on = threading.Event(), threading.Event()\n")
    (tmp_path / "never_loaded.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import slow_gate

    warm = WarmUp(("slow_to_load", "never_loaded"))
    warm.start()
    assert slow_gate.began.wait(20)
    stopping = threading.Thread(target=warm.stop)
    stopping.start()
    assert stopping.is_alive()
    while not warm._stop.is_set():
        pass
    slow_gate.go_on.set()
    stopping.join(20)
    assert not stopping.is_alive()
    assert "never_loaded" not in sys.modules


def test_what_cannot_be_loaded_is_left_to_the_first_plan(caplog: pytest.LogCaptureFixture) -> None:
    warm = WarmUp(("no_such_module", "json"))
    warm.start()
    for thread in threading.enumerate():
        if thread.name == "warm-up":
            thread.join()
    warm.stop()
    assert "no_such_module cannot be loaded yet: ModuleNotFoundError" in caplog.text
