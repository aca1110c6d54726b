"""`up`: everything from what is there to healthy, each server as soon as those it needs are."""

import dataclasses
import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from infra.stack import moto, orphans, plan, secret_file
from infra.stack.place import ROOT, Stack
from infra.stack.ports import is_free
from infra.stack.programs import has_ceph, postgres
from infra.stack.secret_file import S3
from infra.stack.server import Server
from infra.stack.steps import Step, Tell, run
from infra.stack.supervisor import WATCH, Supervisor
from tmu.errors import ConfigError, DataError, StorageError
from tmu.files import write_atomic
from tmu.settings import STACK
from tmu.stores.lock import locked
from tmu.workspace import Workspace

_SECONDS_READY = 180
_MOST_DEATHS = 4
_BOOTSTRAP = "infra.bootstrap"
_TMU = (sys.executable, "-c", "from tmu.cli import main; main()")


@dataclass
class Result:
    """What `up` did."""

    seconds: float
    made: bool
    started: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def up(
    home: Path, *, s3: S3 | None = None, first_port: int | None = None, bootstrap: bool = True, tell: Tell
) -> tuple[Stack, Result]:
    """Start what does not run. Raises TmuError for what a user can fix; what runs by then goes on running.

    s3, first_port: used by the very first start. bootstrap: also put Prefect's objects in order.
    """
    began = time.perf_counter()
    postgres(Path("/nowhere"))  # without it nothing of the rest is worth a start
    new = not (home / "params.yaml").is_file()
    refuse_unusable(home, new)
    (home / ".tmu").mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(home / ".tmu" / "stack.lock"):
        made = secret_file.ensure(home, s3=s3 or ("ceph" if has_ceph() else "moto"), first_port=first_port)
        stack, result = Stack.open(home), Result(0.0, made)
        _prepare(stack, new)
        servers = plan.servers(stack)
        supervisor = supervised(stack, servers, result)
        steps = _steps(stack, supervisor, servers, result)
        run([step for step in steps if bootstrap or step.name != "bootstrap"], tell)
    if stack.need("s3_server") == "moto":
        result.notes.append(moto.WARNING)
    result.seconds = time.perf_counter() - began
    return stack, result


def refuse_unusable(home: Path, new: bool) -> None:
    """Raise ConfigError for what is there and is no workspace, DataError for a workspace without data."""
    if new and home.exists() and not (home.is_dir() and all(path.name == ".tmu" for path in home.iterdir())):
        raise ConfigError(
            f"{home} is not empty and no workspace.",
            "Name a new folder, or one made by `tmu init`: make up WORKSPACE=DIR.",
        )
    if not new and not _digits_wanted(home).exists() and not (home / "data").exists():
        raise DataError(f"{home} has no data.", "Import some first: `tmu data import`; or name a new workspace.")


def _prepare(stack: Stack, new: bool) -> None:
    """Complete a new workspace; in one that was there, only tell DVC of the remote."""
    if new:
        write_atomic(_digits_wanted(stack.home), b"")
        _call(stack, "init", [*_TMU, "--home", str(stack.home), "init"])
        return
    Workspace.open(stack.home).versions.init()


def _digits_wanted(home: Path) -> Path:
    """A mark that is there from the moment a workspace is made for the stack until the digits are in it."""
    return home / ".tmu" / "stack" / "digits-wanted"


def supervised(stack: Stack, servers: Sequence[Server], result: Result) -> Supervisor:
    """A running supervisord; what a dead one left behind is stopped first."""
    supervisor = Supervisor(stack)
    if supervisor.running():
        if not supervisor.matches(servers):
            result.notes.append("Settings or code changed since this stack was started: `make down`, then `make up`.")
        return supervisor
    if stopped := orphans.stop(stack, servers):
        result.notes.append(f"{stopped} processes of an earlier start were left; they were stopped first.")
    for server in servers:
        if server.port and not is_free(server.port):
            raise ConfigError(
                f"Port {server.port} of {server.label} is taken by another program.",
                f"Stop that program, or write another port into {stack.home / STACK}.",
            )
    supervisor.start(servers)
    supervisor.start_process(WATCH)
    return supervisor


def _steps(stack: Stack, supervisor: Supervisor, servers: Sequence[Server], result: Result) -> list[Step]:
    steps = [_start(supervisor, server, result) for server in servers]
    if _digits_wanted(stack.home).exists():
        steps = [_with_data(step) if step.name == "api" else step for step in steps]
        steps.append(Step("data", "embedded digits", lambda _: _import_digits(stack), ["s3"]))  # it goes to the remote
    if importlib.util.find_spec(_BOOTSTRAP):
        command = [sys.executable, "-m", _BOOTSTRAP, "--workspace", str(stack.home)]
        steps.append(
            Step("bootstrap", "pools, limits, deployments", lambda _: _call(stack, "bootstrap", command), ["prefect"])
        )
    return steps


def _with_data(step: Step) -> Step:
    """The step, not begun before there is a dataset."""
    return dataclasses.replace(step, needs=[*step.needs, "data"])


def _start(supervisor: Supervisor, server: Server, result: Result) -> Step:
    def work(interrupted: Event) -> None:
        if supervisor.states().get(server.name, {}).get("statename") != "RUNNING":
            server.before()
            supervisor.start_process(server.name)
            result.started.append(server.name)
        await_server(supervisor, server, interrupted)
        server.after()

    return Step(server.name, server.label, work, server.needs)


def await_server(supervisor: Supervisor, server: Server, interrupted: Event) -> None:
    """Wait until a server is well. Raises StorageError if it is not in time, or exits repeatedly."""
    deadline, pids = time.monotonic() + _SECONDS_READY, set()
    while reason := server.probe():
        pids.add(supervisor.states().get(server.name, {}).get("pid", 0))
        dies = len(pids - {0}) > _MOST_DEATHS
        if dies or time.monotonic() > deadline or interrupted.is_set():
            what = "exits repeatedly" if dies else f"did not become ready: {reason}"
            log = supervisor.stack.state("logs", f"{server.name}.log")
            raise StorageError(f"{server.label} {what}.", f"See {log}.")
        time.sleep(0.3)


def _import_digits(stack: Stack) -> None:
    if not (stack.home / "data").exists():
        _call(stack, "import", [*_TMU, "--home", str(stack.home), "data", "import", "digits"])
    _digits_wanted(stack.home).unlink()


def _call(stack: Stack, name: str, command: Sequence[str]) -> None:
    """Run a command of ours to its end, its output in `logs/NAME.log`. Raises StorageError with what it said."""
    home = str(stack.home / ".tmu" / "prefect")
    environment = stack.environment(name, **stack.prefect.environment(), PREFECT_HOME=home)
    log = stack.state("logs", f"{name}.log")
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.touch(mode=0o600)
    with log.open("w") as file:
        done = subprocess.run(command, env=environment, cwd=ROOT, stdout=file, stderr=file, check=False)
    if done.returncode:
        lines = log.read_text().strip().splitlines() or ["no reason given"]
        said = next((line for line in lines if line.startswith(("failed", "error"))), lines[-1])
        raise StorageError(f"`{name}` failed: {said}", f"See {log}, then run `make up` again.")
