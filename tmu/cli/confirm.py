"""Asking before what cannot be undone."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from tmu.errors import ConfigError, RequestError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, yes: bool, shown: list[Any]) -> None:
    """Unless `yes`: show what is about to happen and ask.

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
