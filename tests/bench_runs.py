"""Running a tiny suite in a test and watching what it does."""

from pathlib import Path
from typing import Any

import pytest

from bench.runner import start as starting
from bench.runner.start import Wish, start


def tasks_started(wish: Wish, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, Any]]:
    """Start the suite; the tasks that were done, and the summary."""
    done, perform = [], starting.perform

    def watched(job: Any) -> Any:
        done.append(str(job.task))
        return perform(job)

    monkeypatch.setattr(starting, "perform", watched)
    return done, start(wish)


def does_nothing(wish: Wish, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the suite is complete already: nothing is started, and it says so."""
    done, summary = tasks_started(wish, monkeypatch)
    return done == [] and summary["complete"]


def kept(home: Path, suite: str) -> set[str]:
    """Names of all that a suite keeps of its computations."""
    return {path.name for path in (home / suite).glob("*/*")}
