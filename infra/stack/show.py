"""What the verbs of the stack print for people: progress, the table of addresses, the table of states."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from infra.stack.place import Stack
from infra.stack.status import Process, Status
from infra.stack.steps import READY, STARTS, WAITS, Tell
from tmu.cli import output


class Progress:
    """A line a server: waits, a spinner while it starts, then ready or what went wrong."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.lines: dict[str, tuple[str, str, float]] = {}
        self._spinner = Spinner("dots", style="cyan")

    def tell(self, name: str, label: str, state: str) -> None:
        """Note the state of a server."""
        self.lines[name] = (label, state, time.perf_counter() - self.began)

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for label, state, at in self.lines.values():
            table.add_row(self._sign(state), label, Text(_words(state, at), style="" if state == READY else "dim"))
        return table

    def _sign(self, state: str) -> RenderableType:
        if state == STARTS:
            return self._spinner
        signs = {WAITS: Text("·", style="dim"), READY: Text("✓", style="green")}
        return signs.get(state, Text("✗", style="red"))


def _words(state: str, at: float) -> str:
    return f"{at:5.1f} s" if state == READY else "" if state == WAITS else "starts" if state == STARTS else state


@contextmanager
def progress() -> Iterator[Tell]:
    """Show progress on stderr while the block runs: live in a terminal, else a line when a server is ready."""
    console = Console(stderr=True, highlight=False)
    lines = Progress()

    def tell(name: str, label: str, state: str) -> None:
        lines.tell(name, label, state)
        if not console.is_terminal and not output.MODE.json and state not in (WAITS, STARTS):
            console.print(f"{label}: {state}, {_words(READY, lines.lines[name][2]).strip()}", markup=False)

    if console.is_terminal and not output.MODE.json:
        with Live(lines, console=console, refresh_per_second=8):
            yield tell
    else:
        yield tell


def addresses(processes: list[Process]) -> Table:
    """Where the servers are."""
    table = output.table("server", "address")
    for process in processes:
        if process.address:
            table.add_row(process.label, process.address)
    return table


def logins(stack: Stack) -> Table:
    """What the pages ask for. Prefect's asks for both in one field."""
    table = output.table("page", "user", "password")
    table.add_row(f"Prefect {stack.prefect.url.removesuffix('/api')}", "", stack.need("prefect_login"))
    table.add_row(f"MLflow {stack.need('mlflow_uri')}", *stack.need("mlflow_login").split(":", 1))
    return table


def states(status: Status) -> Table:
    """The state of every process."""
    table = output.table("process", "state", "up", "MiB", "restarts", "health", numbers=("up", "MiB", "restarts"))
    for process in status.processes:
        health = Text("well", style="green") if process.health is None else Text(process.health, style="red")
        row = (process.state.lower(), _duration(process.seconds_up), f"{process.memory_mib:.0f}", str(process.restarts))
        table.add_row(process.name, *row, health)
    table.add_section()
    table.add_row("sum", "", "", f"{status.memory_mib:.0f}", "", "")
    return table


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
