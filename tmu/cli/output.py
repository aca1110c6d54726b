"""What the command line says: results on stdout (JSON or for people), everything else and questions on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tmu.errors import ConfigError, RequestError, TmuError

INTERRUPTED = 130  # the exit code of a Ctrl-C
_DETAILS = 30  # lines of an error's details on a terminal, at most

Report = Callable[[int, int | None], None]


@dataclass
class Mode:
    """How this call speaks. One call is one process, so there is one of it; `tmu.cli.root` resets it."""

    json: bool = False


MODE = Mode()


def _choose_json(value: bool) -> bool:
    MODE.json = MODE.json or value
    return value


Json = Annotated[bool, typer.Option("--json", callback=_choose_json, help="Print the result as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def emit(value: Any, show: Callable[[], Iterable[Any]]) -> None:
    """Print a result: `value` as JSON, or what `show` yields for people: plain strings and Rich renderables."""
    if MODE.json:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=False)
    for part in show():
        plain = isinstance(part, str)
        console.print(part, soft_wrap=plain, markup=not plain)


def emit_error(error: TmuError) -> None:
    """One line on stderr, with its details below; with --json an object on stdout instead."""
    if MODE.json:
        facts = {"type": type(error).__name__, "what": error.what, "hint": error.hint, "exit_code": error.exit_code}
        facts |= {"details": list(error.details)} if error.details else {}
        typer.echo(json.dumps({"error": facts}, indent=2, ensure_ascii=False))
        return
    _complain(f"error: {error.what} {error.hint}")
    for line in error.details[:_DETAILS]:
        note(f"  {line}")
    if len(error.details) > _DETAILS:
        note(f"  and {len(error.details) - _DETAILS} more; the same command with --json lists all")


def emit_fault(error: Exception) -> None:
    """One line for an error that is not the user's."""
    what = f"this is an internal error of tmu: {type(error).__name__}."
    hint = "Run the same command with TMU_DEBUG=1 for the traceback, and report it."
    if MODE.json:
        facts = {"type": type(error).__name__, "what": what, "hint": hint, "exit_code": 1}
        typer.echo(json.dumps({"error": facts}, indent=2))
        return
    _complain(f"{what} {hint}")


def emit_interrupt() -> None:
    """One line for a Ctrl-C: what the same command does then."""
    what, hint = "Interrupted.", "Run the same command again: it goes on from what was kept, or starts over."
    if MODE.json:
        facts = {"type": "KeyboardInterrupt", "what": what, "hint": hint, "exit_code": INTERRUPTED}
        typer.echo(json.dumps({"error": facts}, indent=2))
        return
    _complain(f"{what} {hint}")


def _complain(line: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(" ".join(line.split()), style="red", soft_wrap=True, markup=False)


def note(line: str) -> None:
    """One line beside the result, on stderr."""
    Console(stderr=True, highlight=False).print(line, soft_wrap=True, markup=False)


def confirm(question: str, yes: bool, shown: list[Any]) -> None:
    """Ask before what cannot be undone. Unless `yes`: show what is about to happen and ask.

    Raises ConfigError where nobody can answer, RequestError for a no.
    """
    if yes:
        return
    console = Console(stderr=True, highlight=False)
    for part in shown:
        console.print(part, markup=not isinstance(part, str))
    if sys.stdin is None or not sys.stdin.isatty():  # None: closed by whoever started this
        raise ConfigError(
            "There is no terminal to ask for confirmation.", "Add --yes to confirm, or --dry-run to see the plan."
        )
    if not typer.confirm(f"{question} This cannot be undone.", err=True):
        raise RequestError("The request was not confirmed.", "Nothing was changed.")


def table(*columns: str, numbers: Iterable[str] = (), title: str | None = None) -> Table:
    """An empty table in the house's form; the columns of `numbers` are set to the right."""
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        # folded, not cut: of an address no letter is missing
        made.add_column(column, justify="right" if column in set(numbers) else "left", overflow="fold")
    return made


def facts(pairs: dict[str, Any]) -> Table:
    """Names and values, one pair a line."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(name, Text(_plain(value)))
    return made


def _plain(value: Any) -> str:
    """A value in words: parts of a mapping or a list one after the other, and `none` where there is nothing."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)


@contextmanager
def progress(title: str) -> Iterator[Callable[..., None]]:
    """Yields `report(done, total, ...)`: a bar on stderr while the block runs, or lines where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from tmu.stage_lines import figures, told

    console = Console(stderr=True)
    if not console.is_terminal:
        with told(title, note) as stage:
            yield stage.report
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=MODE.json) as bars:
        bar = bars.add_task(title, total=None)

        def report(done: int, total: int, numbers: dict[str, float] | None = None) -> None:
            bars.update(bar, completed=done, total=total, description=f"{title}{figures(numbers or {})}")

        yield report
