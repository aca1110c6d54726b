"""Processes that nobody watches: ours are found and stopped, others are left alone."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from infra.stack import orphans
from infra.stack.place import MARK, Stack
from infra.stack.server import Server

Start = Callable[..., subprocess.Popen]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
CALM = "import time; print('up', flush=True); time.sleep(60)"


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen] = []

    def run(code: str = CALM, **environment: str) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "up\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def _server(name: str, *needs: str, seconds: int = 20) -> Server:
    return Server(name, [], {}, probe=lambda: None, needs=needs, stop_seconds=seconds)


def test_only_processes_of_this_stack_are_stopped_and_workers_first(stack: Stack, start: Start):
    ours = [start(**{MARK: stack.mark(name)}) for name in ("postgres", "worker")]
    others = [start(), start(**{MARK: "0" * 32 + ":worker"})]
    assert orphans.find(stack) == {ours[0].pid: "postgres", ours[1].pid: "worker"}
    told: list[str] = []
    assert orphans.stop(stack, [_server("postgres"), _server("worker", "postgres")], told.append) == 2
    assert told == ["worker", "postgres"]
    assert [process.wait(5) for process in ours] == [-15, -15]
    assert [process.poll() for process in others] == [None, None]


def test_one_that_does_not_end_in_its_time_is_killed(stack: Stack, start: Start):
    process, began = start(STUBBORN, **{MARK: stack.mark("mlflow")}), time.monotonic()
    orphans.stop(stack, [_server("mlflow", seconds=1)])
    assert process.wait(5) == -9
    assert time.monotonic() - began >= 1


def test_a_hung_supervisord_is_killed_at_once(stack: Stack, start: Start):
    process = start(STUBBORN, **{MARK: stack.mark("supervisord")})
    orphans.stop(stack, [])
    assert process.wait(5) == -9


def test_one_that_is_in_no_plan_any_more_is_stopped_too(stack: Stack, start: Start):
    process = start(**{MARK: stack.mark("worker-gpu-7")})
    assert orphans.stop(stack, [_server("postgres")]) == 1
    assert process.wait(5) == -15
