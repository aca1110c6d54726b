"""What `status` says: restarts from supervisord's log, memory, and well only if all are."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.stack import status
from infra.stack.place import Stack
from infra.stack.status import Process, Status

LOG = """\
2026-11-22 19:51:16,426 INFO supervisord started with pid 1
2026-11-22 19:51:16,440 INFO spawned: 'mlflow' with pid 2
2026-11-22 19:51:16,440 INFO spawned: 'mlflow' with pid 3
2026-11-22 19:52:16,426 INFO supervisord started with pid 4
2026-11-22 19:52:16,440 INFO spawned: 'mlflow' with pid 5
2026-11-22 19:52:16,440 INFO spawned: 'worker-cpu-0' with pid 6
2026-11-22 19:53:16,440 INFO spawned: 'mlflow' with pid 7
"""


def _process(health: str | None, memory: float = 1.0) -> Process:
    return Process("a", "a", "RUNNING", 1, 1.0, memory, health, 0, None)


def test_starts_are_counted_since_supervisord_began(tmp_path: Path):
    (tmp_path / "log").write_text(LOG)
    assert status.spawns_in(tmp_path / "log") == {"mlflow": 2, "worker-cpu-0": 1}
    assert status.spawns_in(tmp_path / "absent") == {}


def test_one_that_is_not_well_is_enough():
    assert Status("w", [_process(None)]).well
    assert not Status("w", [_process(None), _process("refuses connections")]).well


def test_memory_is_summed_in_the_json():
    assert Status("w", [_process(None, 1.5), _process(None, 2.0)]).as_dict()["memory_mib"] == 3.5


def test_a_worker_of_the_account_that_owns_the_secrets_is_told(stack: Stack, monkeypatch: pytest.MonkeyPatch):
    states = {"worker-cpu-0": {"pid": os.getpid()}, "worker-gpu-1": {"pid": 0}, "api": {"pid": 1}}
    assert "can read hash.key" in status.reads_the_secrets(stack, states)
    mine = psutil.Process().uids()
    other = mine._replace(effective=mine.effective + 4711)
    monkeypatch.setattr(psutil.Process, "uids", lambda self: other)
    assert status.reads_the_secrets(stack, states) is None
    assert status.reads_the_secrets(stack, {}) is None


_GROWS = """
import sys
print(flush=True)
sys.stdin.readline()
kept = bytearray(b"x") * (64 * 2**20)
print(flush=True)
sys.stdin.readline()
"""


def test_memory_of_a_process_is_its_share_in_mib():
    """Of a process that does nothing else: the one of the tests frees and takes memory as it likes."""
    with subprocess.Popen(
        [sys.executable, "-c", _GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        child.stdout.readline()
        before = status.memory_of(child.pid)
        print(file=child.stdin, flush=True)
        child.stdout.readline()
        assert 60 <= status.memory_of(child.pid) - before <= 70
        print(file=child.stdin, flush=True)
    assert status.memory_of(None) == 0


@pytest.mark.parametrize("facts", [None, {"statename": "BACKOFF"}])
def test_a_process_that_does_not_run_is_not_asked(facts: dict | None):
    from infra.stack.server import Server

    server = Server("a", [], {}, probe=lambda: pytest.fail("it was asked"))
    assert status.health_of(server, {"a": facts} if facts else {}) == "not running"
