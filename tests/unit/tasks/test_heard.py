"""What steps note is said while a task runs, and no longer."""

import logging

import pytest

from tasks.say import heard

_LOG = logging.getLogger("tmu.steps.loading")


def test_notes_of_steps_are_said_inside_and_silent_outside(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tmu.elsewhere")
    with heard():
        _LOG.info("%s pictures: streamed.", "3,000")
        _LOG.debug("a detail")
        logging.getLogger("tmu.elsewhere").info("another room")
    _LOG.info("afterwards")
    assert [each.getMessage() for each in caplog.records] == ["another room"]  # nothing is said twice
    assert capsys.readouterr().err.strip() == "• 3,000 pictures: streamed."
