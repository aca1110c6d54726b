"""`status`: state, uptime, memory, health and restarts of each process of a stack."""

import contextlib
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from infra.stack import moto, orphans, plan
from infra.stack.place import Stack, secrets_of
from infra.stack.server import Server
from infra.stack.supervisor import NAME, WATCH, Supervisor

_NOT_RUNNING = "not running"


@dataclass(frozen=True)
class Process:
    """One process with its children. `health`: None is well, else what is wrong; memory in MiB of PSS."""

    name: str
    label: str
    state: str
    pid: int | None
    seconds_up: float | None
    memory_mib: float
    health: str | None
    restarts: int
    address: str | None


@dataclass(frozen=True)
class Status:
    """All of them. PSS shares memory that several processes use among them, so that the sum is what they take."""

    workspace: str
    processes: list[Process]
    notes: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether every process is well."""
        return all(process.health is None for process in self.processes)

    @property
    def memory_mib(self) -> float:
        """What the stack takes, runs of flows included."""
        return round(sum(process.memory_mib for process in self.processes), 1)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self), "well": self.well, "memory_mib": self.memory_mib}


def status(stack: Stack) -> Status:
    """Look at a stack, which need not run. Takes as long as the slowest probe, some seconds at most."""
    servers, supervisor = plan.servers(stack), Supervisor(stack)
    states, spawns = supervisor.states(), spawns_in(stack.state("logs", "supervisord.log"))
    with ThreadPoolExecutor(len(servers)) as pool:
        health = list(pool.map(lambda server: health_of(server, states), servers))
    watch = Server(WATCH, [], {}, probe=lambda: None, label="restarts servers that hang")
    parts = [(watch, health_of(watch, states)), *zip(servers, health, strict=True)]
    processes = [_supervisor(stack, supervisor), *(_process(each, well, states, spawns) for each, well in parts)]
    notes = [moto.WARNING] if stack.need("s3_server") == "moto" else []
    notes += filter(None, [reads_the_secrets(stack, states)])
    if not states and (left := orphans.find(stack)):
        notes.append(
            f"{len(left)} processes of an earlier start run unsupervised: `make up` or `make down` stops them."
        )
    return Status(str(stack.home), processes, notes)


def reads_the_secrets(stack: Stack, states: dict[str, Any]) -> str | None:
    """A sentence where a worker's account owns the secrets of the workspace, or is root; None where it does not.

    states: supervisord's facts of each process.
    """
    owners = {path.stat().st_uid for path in secrets_of(stack) if path.exists()}
    workers = [facts["pid"] for name, facts in states.items() if name.startswith("worker-")]
    for pid in filter(None, workers):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.uids().effective in {0, *owners}:
                who = process.username()
                return f"Workers run as `{who}`, who can read hash.key and the tokens: one account runs everything."
    return None


def health_of(server: Server, states: dict[str, Any]) -> str | None:
    """What is wrong with a server; None: it is well. states: of supervisord, by name."""
    return server.probe() if _runs(states.get(server.name)) else _NOT_RUNNING


def _runs(facts: dict[str, Any] | None) -> bool:
    return facts is not None and facts["statename"] == "RUNNING"


def _process(server: Server, health: str | None, states: dict[str, Any], spawns: dict[str, int]) -> Process:
    facts = states.get(server.name)
    pid = facts["pid"] or None if facts else None
    return Process(
        name=server.name,
        label=server.label,
        state=facts["statename"] if facts else "STOPPED",
        pid=pid,
        seconds_up=float(facts["now"] - facts["start"]) if facts and _runs(facts) else None,
        memory_mib=memory_of(pid),
        health=health,
        restarts=max(0, spawns.get(server.name, 0) - 1),
        address=server.page,
    )


def _supervisor(stack: Stack, supervisor: Supervisor) -> Process:
    pid = next((pid for pid, name in orphans.find(stack).items() if name == NAME), None)
    well = supervisor.running()
    up = time.time() - psutil.Process(pid).create_time() if pid and well else None
    state, health = ("RUNNING", None) if well else ("STOPPED", _NOT_RUNNING)
    return Process(NAME, "supervises the others", state, pid, up, memory_of(pid, children=False), health, 0, None)


def memory_of(pid: int | None, *, children: bool = True) -> float:
    """PSS of a process and its children in MiB; 0 where it ended, or belongs to somebody else."""
    pids: Sequence[int] = []
    if pid:
        pids = [pid]
        with contextlib.suppress(psutil.Error):
            pids = [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True) if children)]
    return round(sum(_pss(each) for each in pids) / 1024, 1)


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(match[1]) if match else 0
    return 0


def spawns_in(log: Path) -> dict[str, int]:
    """How often each process was started since supervisord was, by its log (the last 10 MB)."""
    counts: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in log.read_text(errors="replace").splitlines():
            if "supervisord started with pid" in line:
                counts = {}
            elif match := re.search(r"spawned: '([^']+)' with pid", line):
                counts[match[1]] = counts.get(match[1], 0) + 1
    return counts
