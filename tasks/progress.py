"""Progress of a long task, in Prefect's page and in the terminal."""

import time

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console

from tmu.train.engine import Progress

_EVERY = 2.0  # seconds between two updates of the page


def progress_of(title: str) -> Progress:
    """A callback for the engine: a progress artifact on the run's page and a line in the terminal."""
    console, state = Console(stderr=True), {"at": 0.0, "artifact": None}

    def report(done: int, total: int, numbers: dict[str, float]) -> None:
        if time.monotonic() - state["at"] < _EVERY and done < total:
            return
        state["at"] = time.monotonic()
        if state["artifact"] is None:
            state["artifact"] = create_progress_artifact(progress=0.0, description=title)
        update_progress_artifact(state["artifact"], progress=100 * done / total)
        if console.is_terminal:
            console.print(_line(title, done, total, numbers), end="\n" if done == total else "\r", highlight=False)

    return report


def _line(title: str, done: int, total: int, numbers: dict[str, float]) -> str:
    filled = 24 * done // total
    tail = f" loss {numbers['loss']:.3f}, accuracy {numbers['accuracy_pct']:.1f} %" if numbers else ""
    return f"  {title:<22} [cyan]{'━' * filled}[/][dim]{'━' * (24 - filled)}[/] {100 * done // total:3d} %{tail:<36}"
