"""Starts are measured verb by verb, the servers removed whatever happens, and a start that fails is no measurement."""

from pathlib import Path
from typing import Any

import pytest

from bench.service import starts


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The verbs, which take 1, 2, 3, … seconds and leave 700 MiB in use."""
    verbs: list[str] = []
    clock = {"at": 0.0}

    def verb(name: str, home: Path, *options: str) -> Any:
        verbs.append(" ".join([name, *options]))
        clock["at"] += len(verbs)
        return {"memory_mib": 700 + len(verbs)}

    monkeypatch.setattr(starts, "_infra", verb)
    monkeypatch.setattr(starts.time, "perf_counter", lambda: clock["at"])
    return verbs


def test_the_first_start_the_stop_and_the_next_start_are_told_apart(called: list[str]) -> None:
    rows = starts.measure(1, rest=0)
    assert called == ["up", "status", "down", "up", "down --delete-data --yes"]
    assert rows["first start, workspace and digits included"] == (1, "s")
    assert (rows["stop"], rows["start again"], rows["memory at rest, worst"]) == ((3, "s"), (4, "s"), (702, "MiB"))
    assert starts.measure(2, rest=0)["stop"][0] < starts.measure(2, rest=0)["stop, worst"][0]


def test_a_verb_that_fails_is_no_measurement(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("a file")
    with pytest.raises(RuntimeError, match="`infra up` failed"):
        starts._infra("up", tmp_path / "w")
