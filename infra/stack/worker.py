"""Prefect's process workers: one for each GPU, which sees that GPU alone, or one for the processor."""

import os
import shutil
import subprocess
import sys

from infra.stack import health
from infra.stack.place import ROOT, Stack
from infra.stack.prefect_server import POOL
from infra.stack.server import Server
from infra.stack.supervisor import Supervisor


def servers(stack: Stack) -> list[Server]:
    """The workers of this machine."""
    gpus = [] if stack.settings.device == "cpu" else find_gpus()
    return [_worker(stack, f"gpu-{at}", gpu) for at, gpu in enumerate(gpus)] or [_worker(stack, "cpu-0", "")]


def find_gpus() -> list[str]:
    """The GPUs to use, as CUDA_VISIBLE_DEVICES names them: those of that variable, else all that nvidia-smi lists."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [each.strip() for each in chosen.split(",") if each.strip() not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()] if listed.returncode == 0 else []


def _worker(stack: Stack, name: str, gpu: str) -> Server:
    home = stack.home / ".tmu" / "prefect"
    pool = ["--pool", POOL, "--type", "process", "--no-create-pool-if-not-found", "--install-policy", "never"]
    return Server(
        name=f"worker-{name}",
        label=f"worker {name}",
        command=[sys.executable, "-m", "infra.stack.worker_main", "worker", "start", "--name", name, *pool],
        environment=stack.variables(
            f"worker-{name}",
            CUDA_VISIBLE_DEVICES=gpu,
            **stack.prefect.environment(),
            PREFECT_HOME=str(home),
            PREFECT_LOCAL_STORAGE_PATH=str(home / "results"),
            PREFECT_WORKER_QUERY_SECONDS="1",
            PREFECT_RUNNER_POLL_FREQUENCY="5",  # how soon a cancellation is seen where the web socket is broken
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30",
        ),
        folder=str(ROOT),
        probe=health.worker(stack.prefect, POOL, name, lambda: Supervisor(stack).started(f"worker-{name}")),
        needs=["prefect", "mlflow", "s3"],  # a run may begin at once
        stop_seconds=30,
    )
