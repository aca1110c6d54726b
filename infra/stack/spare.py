"""A process that has its imports behind it and waits for a run: five seconds less for whoever asked.

The worker starts one ahead of time and hands it the environment that Prefect made for a run, over the pipe that is its
standard input. It serves that one run and ends, as any run's process does: nothing is left of a run for the next. It
listens to nothing else, and ends with its worker. The worker checks a run before (`worker_main`), with a spare or
without.

A spare is not taken where it could do otherwise than a new process: another command, folder or environment, or sources
or packages that changed since it was started (a run's manifest names the sources as they lie on the disk). What only it
can know, which files of packages it imported, it looks at itself (`spare_main`).
"""

import json
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from infra.stack.place import ROOT

MODULE = "infra.stack.spare_main"
_OF_A_RUN = "PREFECT__"  # what tells one run from another; settings have one underscore
_SOURCES = ("tmu", "flows", "tasks", "infra")


class Spare:
    """The one process in waiting of a worker, or none."""

    def __init__(self) -> None:
        self._process: anyio.abc.Process | None = None
        self._made: tuple[dict[str, str], tuple[int, ...]] = ({}, ())

    async def ready(self, environment: Mapping[str, str]) -> None:
        """Start one with the environment of a run, unless one waits already."""
        if self._process is not None and self._process.returncode is None:
            return
        self._made = _without_run(environment), stamp()
        self._process = await anyio.open_process(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._made[0],
            cwd=ROOT,
        )

    async def taken(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Any
    ) -> anyio.abc.Process | None:
        """The spare, on its way with that run; None where there is none, or it is not what a new process would be."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return None
        alike = self._made == (_without_run(environment), stamp())
        if not alike or list(command) != shlex.split(engine_command()) or Path(folder or "").resolve() != ROOT:
            await end(process)
            return None
        assert process.stdin is not None  # opened above
        try:
            await process.stdin.send(json.dumps(dict(environment)).encode())
            await process.stdin.aclose()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):  # it died just now
            await end(process)
            return None
        return process

    async def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            await end(process)


def engine_command() -> str:
    """How a run's process is started without a spare."""
    return shlex.join([sys.executable, "-m", "prefect.engine"])


async def end(process: anyio.abc.Process) -> None:
    """Kill a process that serves no run, and wait for its end."""
    with suppress(ProcessLookupError):
        process.kill()
    with anyio.CancelScope(shield=True):
        await process.aclose()


def stamp(root: Path = ROOT, packages: Path | None = None) -> tuple[int, ...]:
    """What changes with any source of ours and with any package that is installed or removed."""
    files = [path.stat() for name in _SOURCES for path in sorted((root / name).rglob("*.py"))]
    site = (packages or Path(sysconfig.get_paths()["purelib"])).stat().st_mtime_ns
    return site, len(files), hash(tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in files))


def _without_run(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_OF_A_RUN)}


def served_by(spare: Spare, environment: Callable[[], Mapping[str, str]]) -> Callable[..., Any]:
    """Prefect's `run_process`, which takes the spare where it can; afterwards the next one is made ready.

    environment: of any run, without what tells one from another.
    """
    from prefect.utilities import processutils

    async def run_process(
        command: Sequence[str],
        *,
        stream_output: Any = False,
        task_status: Any = None,
        task_status_handler: Any = None,
        env: Any = None,
        cwd: Any = None,
        **more: Any,
    ) -> anyio.abc.Process:
        process = await spare.taken(command, env or {}, cwd) if stream_output is True and not more else None
        try:
            if process is None:
                told: dict[str, Any] = {"task_status": task_status, "task_status_handler": task_status_handler}
                return await processutils.run_process(
                    list(command), stream_output=stream_output, env=env, cwd=cwd, **told, **more
                )
            return await _followed(process, task_status, task_status_handler)
        finally:
            with anyio.CancelScope(shield=True), suppress(OSError):
                await spare.ready(environment())

    return run_process


async def _followed(process: anyio.abc.Process, task_status: Any, handler: Any) -> anyio.abc.Process:
    """Pass its output on until it ends, as `run_process` does; where this is cancelled, it is terminated."""
    from prefect.utilities.processutils import consume_process_output

    try:
        async with process:
            if task_status is not None:
                task_status.started(handler(process) if handler else process.pid)
            await consume_process_output(process, stdout_sink=sys.stdout, stderr_sink=sys.stderr)
            await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        with anyio.CancelScope(shield=True):
            await process.aclose()
    return process
