"""What a run says in the terminal while it works. Imports no Prefect, so that it can speak before Prefect is set up."""

import os
import sys

from rich.console import Console


def tell(line: str) -> None:
    """One line for whoever watches (stderr, so that JSON on stdout stays clean)."""
    Console(stderr=True).print(f"[bold]•[/] {line}")


def _go_on(console: Console) -> None:
    """Whoever watched is gone, such as a worker that was killed: the run goes on, and nobody hears it."""
    console.quiet = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


Console.on_broken_pipe = _go_on  # type: ignore[method-assign]  # Rich's own ends the process, also from Prefect's logs
