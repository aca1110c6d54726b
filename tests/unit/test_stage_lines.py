"""Long work in lines: at least one a minute, one at its end, none of short or failed work."""

import time

import pytest

from tmu.stage_lines import told


def test_each_minute_brings_a_line_and_the_end_another() -> None:
    said: list[str] = []
    with told("train gold", said.append, every=0.05) as stage:
        stage.report(34, 100, {"loss": 0.25, "accuracy_pct": 91.0})
        time.sleep(0.4)
    *minutes, last = said
    assert len(minutes) >= 3  # the work itself said nothing all the while
    assert set(minutes) == {"train gold: running for 0 s, 34 % done, loss 0.250, accuracy 91.0 %"}
    assert last == "train gold: done in 0 s, loss 0.250, accuracy 91.0 %"


def test_the_accuracy_on_the_hold_out_is_told_where_it_is_known() -> None:
    said: list[str] = []
    with told("train gold", said.append) as stage:
        stage.report(100, 100, {"loss": 0.25, "accuracy_pct": 91.0, "accuracy_holdout_pct": 88.5})
    assert said == ["train gold: done in 0 s, loss 0.250, accuracy 91.0 %, hold-out 88.5 %"]


def test_short_work_without_progress_says_nothing() -> None:
    said: list[str] = []
    with told("reach", said.append):
        pass
    assert said == []


def test_work_that_fails_leaves_the_word_to_its_error() -> None:
    said: list[str] = []
    with pytest.raises(ValueError, match="no"), told("audit", said.append) as stage:
        stage.report(1, 2)
        raise ValueError("no")
    assert said == []


def test_a_total_that_is_not_known_is_not_guessed() -> None:
    said: list[str] = []
    with told("import digits", said.append, every=0.05) as stage:
        stage.report(500, None)
        time.sleep(0.2)
    assert said[0] == "import digits: running for 0 s"
