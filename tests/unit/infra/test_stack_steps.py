"""Steps of a start: each after those it needs, none after one that failed."""

from threading import Event

import pytest

from infra.stack.steps import READY, Step, run
from tmu.errors import StorageError


class Story:
    """What was done and told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.told: dict[str, str] = {}

    def step(self, name: str, *needs: str, fails: bool = False) -> Step:
        def work(_: Event) -> None:
            if fails:
                raise StorageError(f"{name} broke.", "Fix it.")
            self.done.append(name)

        return Step(name, name, work, needs)

    def tell(self, name: str, label: str, state: str) -> None:
        self.told[name] = state


def test_a_step_waits_for_those_it_needs_wherever_they_stand():
    story = Story()
    run([story.step("c", "a", "b"), story.step("b", "a"), story.step("a")], story.tell)
    assert story.done == ["a", "b", "c"]
    assert set(story.told.values()) == {READY}


def test_what_needs_a_failed_step_is_not_started_and_the_rest_is():
    story = Story()
    with pytest.raises(StorageError, match="a broke"):
        run([story.step("c", "b"), story.step("b", "a"), story.step("a", fails=True), story.step("d")], story.tell)
    assert story.done == ["d"]
    assert story.told == {"a": "a broke.", "b": "not started", "c": "not started", "d": READY}
