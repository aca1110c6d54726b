"""`make up`: seconds until all servers are well and Prefect is bootstrapped, first and later; memory at rest."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.service.intake import Rows
from bench.service.server import ROOT

_REST = 60
"""Seconds without work before the memory is looked at."""


@dataclass(frozen=True)
class Start:
    """Of one new workspace: seconds of the first `up`, of `down`, of the next `up`; MiB (sum of PSS) at rest."""

    first: float
    stop: float
    again: float
    memory: float


def measure(starts: int, rest: int = _REST) -> Rows:
    """So many new workspaces, one after the other; means and worst."""
    done = [_one(rest) for _ in range(starts)]
    rows: Rows = {"new workspaces": (starts, "runs")}
    for name, values in {
        "first start, workspace and digits included": [each.first for each in done],
        "stop": [each.stop for each in done],
        "start again": [each.again for each in done],
    }.items():
        rows |= {name: (statistics.mean(values), "s"), f"{name}, worst": (max(values), "s")}
    memory = [each.memory for each in done]
    return rows | {"memory at rest": (statistics.mean(memory), "MiB"), "memory at rest, worst": (max(memory), "MiB")}


def _one(rest: int) -> Start:
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)  # PostgreSQL's own user must get through
        home = Path(scratch) / "w"
        try:
            first = _seconds("up", home)
            time.sleep(rest)
            memory = float(_infra("status", home)["memory_mib"])
            stop = _seconds("down", home)
            return Start(first, stop, _seconds("up", home), memory)
        finally:
            _infra("down", home, "--delete-data", "--yes")


def _seconds(verb: str, home: Path) -> float:
    """Wall time of the whole command, imports included."""
    began = time.perf_counter()
    _infra(verb, home)
    return time.perf_counter() - began


def _infra(verb: str, home: Path, *options: str) -> Any:
    command = [sys.executable, "-m", "infra", verb, "--workspace", str(home), "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"`infra {verb}` failed: {done.stderr or done.stdout}")
    return json.loads(done.stdout)
