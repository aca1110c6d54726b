"""Workers: one a GPU, which sees that GPU alone; and they outlast their server."""

import asyncio
from pathlib import Path

import httpx
import pytest

from infra.stack import worker, worker_main
from infra.stack.place import Stack


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi that lists two GPUs, alone on the path."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho GPU-a\necho GPU-b\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    return program


def test_each_gpu_has_a_worker_that_sees_it_alone(stack: Stack, smi: Path):
    found = {server.name: server.environment["CUDA_VISIBLE_DEVICES"] for server in worker.servers(stack)}
    assert found == {"worker-gpu-0": "GPU-a", "worker-gpu-1": "GPU-b"}


def test_the_variable_of_the_caller_limits_them(stack: Stack, smi: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [server.environment["CUDA_VISIBLE_DEVICES"] for server in worker.servers(stack)] == ["1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [server.name for server in worker.servers(stack)] == ["worker-cpu-0"]


def test_a_driver_that_does_not_answer_means_no_gpu(stack: Stack, smi: Path):
    smi.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    (only,) = worker.servers(stack)
    assert (only.name, only.environment["CUDA_VISIBLE_DEVICES"]) == ("worker-cpu-0", "")


def _errors_survived() -> int:
    """How many refused connections in a row the worker's look for cancelled runs outlasts, of ten."""
    from prefect._internal import observers

    calls = 0

    async def look() -> None:
        nonlocal calls
        calls += 1
        if calls <= 10:
            raise httpx.ConnectError("refused")
        raise asyncio.CancelledError

    loop = observers.critical_service_loop(look, interval=0.0, printer=lambda *_: None)
    try:
        asyncio.run(loop)
    except (asyncio.CancelledError, RuntimeError):
        return calls - 1
    return calls


def test_the_look_for_cancelled_runs_outlasts_an_outage(monkeypatch: pytest.MonkeyPatch):
    from prefect._internal import observers
    from prefect.workers import base

    for module in (observers, base):
        monkeypatch.setattr(module, "critical_service_loop", module.critical_service_loop)
    assert _errors_survived() == 2  # what Prefect does by itself: the third error ends it
    worker_main.keep_asking()
    assert _errors_survived() == 10
