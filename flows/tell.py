"""What a run says in the terminal while it works. Imports no Prefect, so that it can speak before Prefect is set up."""

from rich.console import Console


def tell(line: str) -> None:
    """One line for whoever watches (stderr, so that JSON on stdout stays clean)."""
    Console(stderr=True).print(f"[bold]•[/] {line}")
