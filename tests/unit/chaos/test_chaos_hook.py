"""The hook freezes a real process before the effect that was asked for, and counts those of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.chaos.servers import HOOK

FLOW = """
import sys, os, pathlib, threading
from tests.ledger_tools import in_memory, approved, FLOW
from tmu.ledger import batches, executions
from tmu.ledger.states import State
folder = pathlib.Path(sys.argv[2])
ledger = in_memory()
approved(ledger, "one")
taken = batches.take_batch(ledger, "faces", FLOW)
token = executions.begin(ledger, taken.id, FLOW).token
for name in "abc":
    (folder / name).write_text(name)
other = threading.Thread(target=lambda: (folder / "other").write_text("x"))
other.start(), other.join()
executions.advance(ledger, token, State.UNLEARNING, FLOW)
os.replace(folder / "a", folder / "d")
executions.advance(ledger, token, State.AUDITING, FLOW)
"""
END = """
import sys, pathlib
from tmu.steps import issue_certificate, seal_evidence
from tmu.ledger import executions
import calendar  # the hook looks at what is loaded when something more is
folder = pathlib.Path(sys.argv[2])
issuing = issue_certificate.issue_certificate
try:
    issuing(None, None, (), ())
except AttributeError:
    (folder / "certificate").write_text("x")
try:
    seal_evidence.seal_evidence(None, "r")
except AttributeError:
    (folder / "bundle").write_text("x")
"""


@contextmanager
def start(
    folder: Path,
    mark: str = "prefect.engine",
    stage: str | None = None,
    effect: int = 0,
    name: str = "nightly-batch",
    flow: str = FLOW,
) -> Iterator[subprocess.Popen]:
    (folder / "order.json").write_text(json.dumps({"stage": stage, "effect": effect}))
    hook = {"PYTHONPATH": str(HOOK), "CHAOS_FOLDER": str(folder), "PREFECT__DEPLOYMENT_NAME": name}
    environment = os.environ | hook
    with subprocess.Popen([sys.executable, "-c", flow, mark, str(folder)], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_stops_before_the_wanted_effect_and_goes_on(tmp_path: Path) -> None:
    with start(tmp_path, stage="forgetting_data", effect=2) as process:
        deadline = time.monotonic() + 60
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        noted = json.loads((tmp_path / "frozen.json").read_text())
        assert noted == {"stage": "forgetting_data", "effect": 2, "what": "open", "pid": process.pid}
        assert (tmp_path / "a").exists()
        assert not (tmp_path / "b").exists()  # effect 0 is the begin of the stage, 1 the first file, 2 the second
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0


def test_it_counts_the_main_threads_effects_by_stage(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.wait(60) == 0
    counts = json.loads((tmp_path / "effects.json").read_text())
    assert counts == {"forgetting_data": 5, "unlearning": 3}  # begin, three files, commit; begin, a move, commit
    assert not (tmp_path / "frozen.json").exists()


@pytest.mark.parametrize(("name", "counted"), [("nightly-batch", True), ("reconcile", False)])
def test_a_process_in_waiting_is_watched_once_it_is_told_of_its_run(tmp_path: Path, name: str, counted: bool) -> None:
    """Its imports are behind it by then; the next one that is new lets the hook look at what is loaded."""
    imports, rest = FLOW.split("folder = ", 1)
    given = f"os.environ.clear(); os.environ.update(PREFECT__DEPLOYMENT_NAME={name!r})\nimport calendar\n"
    with start(tmp_path, mark="infra.stack.spare_main", name="", flow=f"{imports}{given}folder = {rest}") as process:
        assert process.wait(60) == 0
    assert (tmp_path / "effects.json").exists() is counted
    if counted:
        counts = json.loads((tmp_path / "effects.json").read_text())
        assert counts == {"forgetting_data": 5, "unlearning": 3}


@pytest.mark.parametrize(("stage", "there"), [("certifying", []), ("sealing", ["certificate"])])
def test_it_stops_in_what_the_ledger_does_not_name(tmp_path: Path, stage: str, there: list[str]) -> None:
    with start(tmp_path, stage=stage, flow=END) as process:
        deadline = time.monotonic() + 60
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        noted = json.loads((tmp_path / "frozen.json").read_text())
        assert (noted["stage"], noted["effect"], noted["what"]) == (stage, 0, "begin")
        assert [path.name for path in tmp_path.iterdir() if path.name in ("certificate", "bundle")] == there


@pytest.mark.parametrize(
    ("mark", "name"), [("prefect.worker", "nightly-batch"), ("dvc", "nightly-batch"), ("prefect.engine", "reconcile")]
)
def test_other_processes_are_left_alone(tmp_path: Path, mark: str, name: str) -> None:
    with start(tmp_path, mark=mark, stage="forgetting_data", name=name) as process:
        assert process.wait(60) == 0
    assert (tmp_path / "order.json").exists()
    assert not (tmp_path / "effects.json").exists()
