"""The servers of `make up` for a workspace, with the proxy between the S3 gateway and everybody else.

Where the proxy stands is told by TMU_S3_ENDPOINT, which wins over the stack's own settings; only Ceph's servers go by
the gateway's own address.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import psutil

from infra.stack import health, plan
from infra.stack.down import down
from infra.stack.place import ROOT, Stack
from infra.stack.ports import LOOPBACK, next_free, port_of
from infra.stack.remove_data import delete
from infra.stack.server import Server
from infra.stack.steps import READY, STARTS, WAITS
from infra.stack.supervisor import Supervisor
from infra.stack.up import up
from tmu.settings import load_settings

HOOK = Path(__file__).parent / "hook"
_GATEWAYS = ("ceph-mon", "ceph-osd", "s3")
_PROXY = "s3-proxy"
_VARIABLE = "TMU_S3_ENDPOINT"
NAMES = {"worker": "worker-cpu-0", "prefect": "prefect", "mlflow": "mlflow", "postgres": "postgres", "s3": "s3"}
"""supervisord's name of what each fault kills."""


@dataclass(frozen=True)
class Servers:
    """A stack that runs. control: the proxy's socket."""

    stack: Stack
    control: Path

    def kill(self, name: str) -> int:
        """kill -9 of a server, and wait until it is gone; its process id. The supervisor starts another."""
        pid = self.pid(name)
        process = psutil.Process(pid)
        process.send_signal(signal.SIGKILL)
        with contextlib.suppress(psutil.TimeoutExpired):  # a defunct one waits for its parent
            process.wait(timeout=5)
        return pid

    def pid(self, name: str) -> int:
        """The process id of a server. Raises RuntimeError where it does not run."""
        found = Supervisor(self.stack).states().get(NAMES[name], {}).get("pid")
        if not found:
            raise RuntimeError(f"{NAMES[name]} does not run.")
        return int(found)

    def await_well(self, seconds: float = 120) -> None:
        """Wait until every server is well again. Raises TimeoutError naming those that are not."""
        deadline = time.monotonic() + seconds
        while ill := self.ill():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not well after {seconds:.0f} s: {ill}")
            time.sleep(0.5)

    def ill(self) -> dict[str, str]:
        """What is wrong, by server."""
        with _with_proxy(self.stack, self.control):
            return {server.name: why for server in plan.servers(self.stack) if (why := server.probe())}


@contextlib.contextmanager
def started(home: Path, folder: Path, first_port: int, tell: Callable[[str], None]) -> Iterator[Servers]:
    """The stack of a workspace for the length of the block; its stores are removed afterwards.

    folder: takes the proxy's socket, and the temporary files of all processes, which alone the independent search looks
    through: other programs' on this machine may hold the same simulated people. The environment points there, and to
    the proxy, from here on.
    """
    control, temporary = folder / "proxy.sock", folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    os.environ |= dict.fromkeys(("TMPDIR", "TMU_SEARCH_TEMPORARY"), str(temporary))
    os.environ[_VARIABLE] = f"http://{LOOPBACK}:{next_free(first_port + 20)}"
    os.environ["TMU_HOME"] = str(home)
    stack = None
    try:
        with _with_proxy(None, control):
            stack, result = up(home, first_port=first_port, tell=lambda name, _, state: _tell(tell, name, state))
        tell(f"ready in {result.seconds:.0f} s")
        os.environ.update(stack.prefect.environment())
        yield Servers(stack, control)
    finally:
        stack = stack or Stack.open(home)
        with _with_proxy(stack, control):
            down(stack)
        state = stack.state()
        remove(stack)
        tell(f"stopped; {state} removed")
        os.environ.pop(_VARIABLE)


def _tell(tell: Callable[[str], None], name: str, state: str) -> None:
    if state not in (WAITS, STARTS, READY):
        tell(f"{name}: {state}")


def remove(stack: Stack) -> None:
    """Remove the stores of a stopped stack; its state folder lies on another disk, behind a link."""
    link = stack.state()
    if link.is_symlink():
        shutil.rmtree(link.resolve())
        link.unlink()
    delete(stack)


@contextlib.contextmanager
def _with_proxy(stack: Stack | None, control: Path) -> Iterator[None]:
    """infra's plan of servers, with the proxy in it."""
    plain = plan.servers

    def servers(stack: Stack) -> list[Server]:
        own = _own_endpoint(stack)
        behind = replace(stack, settings=stack.settings.model_copy(update={"s3_endpoint": own}))
        pairs = zip(plain(stack), plain(behind), strict=True)
        chosen = [two if two.name in _GATEWAYS else _hooked(one, control.parent) for one, two in pairs]
        return [_proxy(stack, own, control), *chosen]

    with mock.patch.object(plan, "servers", servers):
        yield


def _hooked(server: Server, folder: Path) -> Server:
    """The worker with the hook in the environment of its runs; another server as it is."""
    hook = {"PYTHONPATH": str(HOOK), "CHAOS_FOLDER": str(folder)}
    return replace(server, environment={**server.environment, **hook}) if server.name == NAMES["worker"] else server


def _own_endpoint(stack: Stack) -> str:
    """The gateway's own address, as the stack's file has it."""
    with mock.patch.dict(os.environ):
        os.environ.pop(_VARIABLE, None)
        return str(load_settings(stack.home).s3_endpoint)


def _proxy(stack: Stack, gateway: str, control: Path) -> Server:
    port = port_of(stack.need("s3_endpoint"), "s3_endpoint")
    command = [sys.executable, "-m", "tests.chaos.proxy", str(port), str(port_of(gateway, "s3_endpoint")), str(control)]
    return Server(
        name=_PROXY,
        label="proxy before S3",
        command=command,
        environment=stack.environment(_PROXY),
        folder=str(ROOT),
        probe=health.tcp(port),
        port=port,
    )
