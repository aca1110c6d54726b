"""supervisord: its configuration from the plan, its start, and the calls over its socket."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil

from infra.stack.place import ROOT, Stack
from infra.stack.server import Server
from tmu.errors import ConfigError, StorageError
from tmu.files import write_atomic
from tmu.permissions import OTHERS

NAME = "supervisord"
WATCH = "watch"
_LOG = "maxbytes=10MB"


class Supervisor:
    """The supervisord of one stack. It listens on a socket that its owner alone can reach, on no port."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.conf, self.pid_file = stack.state("supervisord.conf"), stack.state("supervisord.pid")

    def running(self) -> bool:
        """Whether it answers."""
        try:
            with self.rpc() as call:
                return bool(call.getState()["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error, HTTPException):
            return False

    def start(self, servers: Sequence[Server]) -> None:
        """Start it with no server running yet. Raises StorageError where it does not come up."""
        for folder in (self.stack.state(), self.stack.state("logs"), self.stack.socket.parent):
            _make_private(folder)
        write_atomic(self.conf, configuration(self.stack, servers).encode(), private=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.conf)]
        environment = self.stack.environment(NAME)
        # its own log is opened before it sets the umask of its configuration
        done = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, check=False, umask=OTHERS
        )
        deadline = time.monotonic() + 20
        while not self.running():
            if done.returncode or time.monotonic() > deadline:
                raise StorageError(f"supervisord did not start: {done.stderr.strip()}.", "See `make logs`.")
            time.sleep(0.1)

    def matches(self, servers: Sequence[Server]) -> bool:
        """Whether what runs was started from these very settings."""
        return self.conf.exists() and self.conf.read_text() == configuration(self.stack, servers)

    @contextlib.contextmanager
    def rpc(self) -> Iterator[Any]:
        """Supervisord's interface `supervisor` (getProcessInfo, startProcess, …)."""
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.stack.socket}")
        try:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
        finally:
            transport.close()

    def states(self) -> dict[str, dict[str, Any]]:
        """Supervisord's facts of each process by name: statename, pid, start, now; empty if it does not run."""
        try:
            with self.rpc() as call:
                return {each["name"]: each for each in call.getAllProcessInfo()}
        except (OSError, xmlrpc.client.Error, HTTPException):
            return {}

    def started(self, name: str) -> float:
        """Unix time in seconds at which a process was started last; 0 where it never was."""
        return float(self.states().get(name, {}).get("start", 0))

    def start_process(self, name: str) -> None:
        """Start a process unless it runs."""
        with self.rpc() as call, contextlib.suppress(xmlrpc.client.Fault):  # it runs, or ends at once: probes will tell
            call.startProcess(name, False)

    def stop_process(self, name: str) -> None:
        """Stop a process and wait until it is gone."""
        with self.rpc() as call, contextlib.suppress(xmlrpc.client.Fault):  # it does not run
            call.stopProcess(name, True)

    def shutdown(self) -> None:
        """End it, and wait until it is gone."""
        with self.rpc() as call:
            pid = call.getPID()
            call.shutdown()
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(timeout=120)


def configuration(stack: Stack, servers: Sequence[Server]) -> str:
    """supervisord.conf. It holds secrets, in the variables of the processes."""
    return "\n".join([_head(stack), *(_program(stack, server) for server in servers), _watch(stack, servers)])


def _head(stack: Stack) -> str:
    import getpass

    return f"""\
[unix_http_server]
file={_safe(stack.socket)}
chmod=0600
[supervisord]
logfile={_safe(stack.state("logs", "supervisord.log"))}
logfile_{_LOG}
logfile_backups=3
pidfile={_safe(stack.state("supervisord.pid"))}
childlogdir={_safe(stack.state("logs"))}
identifier=tmu
umask={OTHERS:03o}
user={getpass.getuser()}
directory=/
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program(stack: Stack, server: Server) -> str:
    user = f"user={server.user}\n" if server.user else ""
    return f"""\
[program:{server.name}]
command={_safe(shlex.join(server.command))}
environment={_environment(server.environment)}
directory={_safe(server.folder)}
{user}autorestart=true
stopsignal={signal.Signals(server.stop_signal).name.removeprefix("SIG")}
stopwaitsecs={server.stop_seconds}
{_common(stack, server.name)}"""


def _watch(stack: Stack, servers: Sequence[Server]) -> str:
    """The process that restarts servers which run and do not answer."""
    watched = [f"{server.name}={server.watched}" for server in servers if server.watched]
    return f"""\
[eventlistener:{WATCH}]
command={_safe(shlex.join([sys.executable, "-m", "infra.stack.watch_main", *watched]))}
environment={_environment(stack.variables(WATCH))}
directory={ROOT}
events=TICK_60
autorestart=true
stdout_logfile=NONE
{_common(stack, WATCH, redirect=False)}"""


def _common(stack: Stack, name: str, *, redirect: bool = True) -> str:
    log = _safe(stack.state("logs", f"{name}.log"))
    stream = "stdout" if redirect else "stderr"  # an event listener speaks to supervisord on its stdout
    return f"""\
autostart=false
startsecs=1
startretries=100000
redirect_stderr={str(redirect).lower()}
{stream}_logfile={log}
{stream}_logfile_{_LOG}
{stream}_logfile_backups=3
"""


def _environment(variables: Any) -> str:
    return ",".join(f'{name}="{_safe(value)}"' for name, value in sorted(variables.items()))


def _safe(value: str | Path) -> str:
    """A value as supervisord's files can hold it. Raises ConfigError for characters that they cannot."""
    text = str(value)
    if any(sign in text for sign in '"\n\r') or " ;" in text:
        raise ConfigError("A path or variable has a quote, a line break or ` ;` in it.", "Choose a plainer path.")
    return text.replace("%", "%%")


def _make_private(folder: Path) -> None:
    """Make a folder that we alone can enter. Raises ConfigError where somebody else made it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise ConfigError(
            f"{folder} belongs to somebody else.",
            "Start as the user who made it; it may hold the databases and buckets.",
        )
    folder.chmod(0o700)
