"""Progress of a long task: on Prefect's page, as a bar in a terminal, else in lines (`tmu/stage_lines.py`)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from rich.console import Console

from tasks.say import inside_run, speaker
from tmu.stage_lines import Stage, figures, told

if TYPE_CHECKING:
    from tmu.train.engine import Progress

_EVERY = 2.0  # seconds between two updates of page and bar
_STAGE: ContextVar[Stage | None] = ContextVar("stage", default=None)


@contextmanager
def watched(title: str) -> Iterator[None]:
    """Tell of a task while it runs, at least once a minute, unless somebody watches its bar in a terminal."""
    if not inside_run() and Console(stderr=True).is_terminal:
        yield
        return
    with told(title, speaker()) as stage:
        token = _STAGE.set(stage)
        try:
            yield
        finally:
            _STAGE.reset(token)


def progress_of(title: str) -> "Progress":
    """A callback for the engine: a progress artifact on the run's page; a bar in the terminal, or lines elsewhere."""
    shown, stage, updated = _shown(title), _STAGE.get(), 0.0
    if stage is not None:
        stage.title = title

    def report(done: int, total: int, numbers: dict[str, float]) -> None:
        nonlocal updated
        if stage is not None:
            stage.report(done, total, numbers)
        if time.monotonic() - updated < _EVERY and done < total:
            return
        updated = time.monotonic()
        for show in shown:
            show(done, total, numbers)

    return report


def _shown(title: str) -> "list[Progress]":
    """Where the progress is seen from here."""
    console = Console(stderr=True)
    shown: list[Progress] = [_page(title)] if inside_run() else []
    if console.is_terminal:
        shown.append(
            lambda done, total, numbers: console.print(
                _line(title, done, total, numbers), end="\n" if done == total else "\r", highlight=False
            )
        )
    return shown


def _page(title: str) -> "Progress":
    """A progress artifact, made at the first report."""
    from prefect.artifacts import create_progress_artifact, update_progress_artifact

    made: list[object] = []

    def report(done: int, total: int, numbers: dict[str, float]) -> None:
        if not made:
            made.append(create_progress_artifact(progress=0.0, description=title))
        update_progress_artifact(made[0], progress=100 * done / total)

    return report


def _line(title: str, done: int, total: int, numbers: dict[str, float]) -> str:
    filled = 24 * done // total
    tail = figures(numbers).removeprefix(",")
    return f"  {title:<22} [cyan]{'━' * filled}[/][dim]{'━' * (24 - filled)}[/] {100 * done // total:3d} %{tail:<36}"
