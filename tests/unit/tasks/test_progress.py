"""Progress of a task: a bar in a terminal, lines elsewhere, and nothing asked of a server outside of a run."""

from typing import Any

import pytest

from tasks import progress

NUMBERS = {"loss": 0.5, "accuracy_pct": 90.0}


class Screen:
    """What Rich's console is to the module: a terminal or none."""

    printed: list[tuple[str, str]]

    def __init__(self, *, is_terminal: bool):
        self.is_terminal, self.printed = is_terminal, []

    def __call__(self, **_: Any) -> "Screen":
        return self

    def print(self, line: str, *, end: str, highlight: bool) -> None:
        self.printed.append((line, end))


def work(title: str = "train gold 2") -> None:
    report = progress.progress_of(title)
    for done in (1, 2, 100):
        report(done, 100, NUMBERS)


def test_a_terminal_gets_its_bar_and_no_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    screen = Screen(is_terminal=True)
    monkeypatch.setattr(progress, "Console", screen)
    with progress.watched("train-gold"):
        work()
    assert [end for _, end in screen.printed] == ["\r", "\n"]  # the second report came too soon after the first
    assert "100 % loss 0.500, accuracy 90.0 %" in screen.printed[-1][0]
    assert capsys.readouterr().err == ""


def test_elsewhere_the_end_of_a_training_is_a_line_under_its_own_title(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(progress, "Console", Screen(is_terminal=False))
    with progress.watched("train-gold"):
        work()
    assert capsys.readouterr().err == "• train gold 2: done in 0 s, loss 0.500, accuracy 90.0 %\n"


def test_outside_of_a_task_progress_is_reported_to_nobody(capsys: pytest.CaptureFixture) -> None:
    work()
    assert capsys.readouterr().err == ""
