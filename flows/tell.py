"""What a run says in the terminal while it works. Imports no Prefect, so that it can speak before Prefect is set up."""

import os
import sys

from rich.console import Console


class _Console(Console):
    """Rich ends the process where nobody reads any more; here a worker was killed, and its run goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())


def tell(line: str) -> None:
    """One line for whoever watches (stderr, so that JSON on stdout stays clean)."""
    _Console(stderr=True).print(f"[bold]•[/] {line}")
