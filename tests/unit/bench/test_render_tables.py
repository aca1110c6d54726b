"""What the sections say, both ways round, and that they are silent where nothing was measured."""

import pytest

from bench.tables.ablation import ablation
from bench.tables.cells import Cells
from bench.tables.comparison import comparison
from bench.tables.cost import cost
from bench.tables.fleet import fleet
from bench.tables.predictor import predictor
from bench.tables.stream import stream
from bench.tables.summary import summary
from bench.tables.verdict import verdict
from tests.result_tables import rows, table

NAME = "random-10"
WORSE, MIDDLE, BETTER = [2.0, 2.1, 2.2], [1.0, 1.1, 1.2], [0.2, 0.32, 0.39]


def _cells(made: list[dict]) -> Cells:
    return Cells.of(table(made), "d")


def _both(method: str, values: list[float], forget_set: str = NAME) -> list[dict]:
    gaps = rows(method, "average_gap", values, forget_set)
    return gaps + rows(method, "activation_distance", [value / 10 for value in values], forget_set)


def _line(lines: list[str], start: str) -> str:
    return next(line for line in lines if line.startswith(start))


def test_best_and_tied_are_bold_and_nothing_else() -> None:
    made = (
        _both("tmu-soft", MIDDLE)
        + _both("salun", [1.05, 1.0, 1.3])
        + _both("ssd", WORSE)
        + _both("second gold", BETTER)
    )
    lines = comparison(_cells(made), NAME)
    assert "avg gap (pts) ↓" in _line(lines, "| row")
    assert "activation distance (L2) ↓" in _line(lines, "| row")
    assert "**1.10 [0.85, 1.35]**" in _line(lines, "| `tmu-soft`")
    assert _line(lines, "| `salun`").count("**") == 4
    assert "**" not in _line(lines, "| `ssd`") + _line(lines, "| second gold, the floor")


def test_a_refused_and_an_unfinished_row_say_so_and_are_not_bold() -> None:
    made = _both("tmu-soft", MIDDLE) + rows("ssd", "refused", [1, 1]) + _both("amun", [0.1])
    lines = comparison(_cells(made), NAME)
    assert _line(lines, "| `ssd`").startswith("| `ssd`: refused on 2 of 3 seeds | – | – |")
    assert _line(lines, "| `amun`").startswith("| `amun`: 1 of 3 seeds so far | 0.10 |")
    assert "**" not in _line(lines, "| `amun`")


def test_a_number_that_nobody_has_makes_no_column() -> None:
    header = _line(comparison(_cells(rows("tmu-soft", "average_gap", MIDDLE)), NAME), "| row")
    assert header == "| row | avg gap (pts) ↓ |"


def test_shadow_attacks_have_a_column_where_they_were_run() -> None:
    made = rows("tmu-soft", "rmia_auc", [51, 52, 53]) + rows("gold", "rmia_auc", [50, 50, 50])
    assert "→ gold" in _line(comparison(_cells(made), NAME), "| row")


@pytest.mark.parametrize(
    ("other", "standing", "answer"),
    [
        (WORSE, "`tmu-soft` is the best of 2 methods.", "yes"),
        ([1.05, 1.0, 1.3], "`tmu-soft` is the best of 2 methods, and not to be told from `salun`.", "yes"),
        ([0.9, 1.2, 1.1], "`tmu-soft` is tied with `salun`, the best of 2 methods", "yes"),
        (BETTER, "`tmu-soft` is not the best of 2 methods: `salun` is better; paired difference +0.80", "no"),
    ],
)
def test_the_verdict_says_what_the_numbers_say(other: list[float], standing: str, answer: str) -> None:
    lines = verdict(_cells(_both("tmu-soft", MIDDLE) + _both("salun", other)), NAME)
    assert standing in _line(lines, "- avg gap")
    assert f"- **Best or tied in both numbers: {answer}.**" in lines


def test_one_lost_number_makes_both_a_no() -> None:
    made = _both("tmu-soft", MIDDLE) + rows("salun", "average_gap", WORSE)
    lines = verdict(_cells(made + rows("salun", "activation_distance", [0.01, 0.011, 0.012])), NAME)
    assert "is the best of 2" in _line(lines, "- avg gap")
    assert "- **Best or tied in both numbers: no.**" in lines


def test_the_verdict_is_silent_about_an_unfinished_default() -> None:
    lines = verdict(_cells(_both("tmu-soft", MIDDLE[:2]) + _both("salun", WORSE)), NAME)
    assert lines == ["- Nothing is said about `tmu-soft` here: it has not been measured on every seed."]


def test_with_one_seed_the_verdict_admits_it() -> None:
    lines = verdict(_cells(_both("tmu-soft", [1.0]) + _both("salun", [2.0]) + _both("second gold", [0.5])), NAME)
    assert "One seed: nothing can be told from chance." in _line(lines, "- avg gap")
    assert "- **Best or tied in both numbers: not decided, one seed.**" in lines
    assert "2.00 (one seed: no interval)" in _line(lines, "- avg gap over the floor's")


@pytest.mark.parametrize(
    ("floor", "words"),
    [
        (BETTER, "above the floor"),
        ([0.9, 1.3, 1.1], "not distinguishable from a second gold"),
        (WORSE, "below the floor"),
    ],
)
def test_the_floor_is_beside_the_default(floor: list[float], words: str) -> None:
    lines = verdict(_cells(_both("tmu-soft", MIDDLE) + _both("second gold", floor)), NAME)
    assert words in _line(lines, "- avg gap over the floor's")


def test_the_controls_are_beside_the_default() -> None:
    made = _both("tmu-soft", MIDDLE) + _both("original", WORSE) + _both("random choice", BETTER)
    line = _line(verdict(_cells(made), NAME), "- avg gap beside the controls")
    assert "-1.00 [-1.00, -1.00] to original (better)" in line
    assert "to random choice (worse)" in line


def test_the_summary_counts_where_the_default_wins() -> None:
    made = [r for name in ("x", "y") for r in _both("tmu-soft", MIDDLE, name)]
    lines = summary(_cells(made + _both("salun", WORSE, "x") + _both("salun", BETTER, "y")))
    assert "- avg gap: `tmu-soft` is best or tied on 1 of 2 forget sets." in lines
    assert "- **Best or tied in both numbers: 1 of 2**; not on y." in lines
    assert _line(lines, "| `tmu-soft`").split(" | ")[1].startswith("**1.10")
    assert _line(lines, "| `salun`").split(" | ")[2].startswith("**0.30")
    assert _line(lines, "| `salun`").endswith("| 1.5 [1.5, 1.5] |")


def test_the_summary_does_not_count_a_forget_set_of_one_seed_or_of_missing_ones() -> None:
    made = _both("tmu-soft", MIDDLE, "x") + _both("tmu-soft", [1.0], "y")
    made += _both("tmu-soft", [1.0], "z") + _both("salun", MIDDLE, "z")
    lines = summary(_cells(made))
    assert "- avg gap: `tmu-soft` is best or tied on 1 of 1 forget sets." in lines
    assert "- Not counted, since seeds are missing or there is but one: y, z." in lines


def test_what_else_the_audit_measured_is_folded_under_the_verdict() -> None:
    made = _both("tmu-soft", MIDDLE) + rows("tmu-soft", "membership_auc", [50, 51, 52])
    lines = comparison(_cells(made + rows("tmu-soft", "gap_ua", [1, 1, 1])), NAME)
    assert lines.index("<details><summary>Further numbers on random-10</summary>") > lines.index(
        _line(lines, "- avg gap")
    )
    assert [line for line in lines if line.startswith("| row")][1] == "| row | membership AUC (%) → gold |"


def test_ablations_are_paired_and_say_better_or_worse_only_beyond_chance() -> None:
    made = _both("tmu-soft", MIDDLE) + _both("tmu-soft/a", WORSE) + _both("tmu-soft/b", BETTER)
    lines = ablation(_cells(made + _both("tmu-soft/c", [0.9, 1.3, 1.1]) + rows("tmu-soft/d", "refused", [1, 1, 1])))
    assert "| +1.00 [1.00, 1.00], worse |" in _line(lines, "| `tmu-soft/a`")
    assert "better" in _line(lines, "| `tmu-soft/b`")
    assert not any(word in _line(lines, "| `tmu-soft/c`") for word in ("better", "worse"))
    assert _line(lines, "| `tmu-soft/d`") == "| `tmu-soft/d`: refused | – | – |"


def test_a_row_whose_code_is_gone_keeps_its_numbers_and_says_so() -> None:
    cells = _cells(_both("tmu-soft", MIDDLE) + _both("tmu-soft/a", WORSE) + _both("tmu-soft/b", BETTER))
    plain, marked = ablation(cells, ["tmu-soft/z"]), ablation(cells, ["tmu-soft/a"])
    assert not any("etired" in line for line in plain)
    assert "| +1.00 [1.00, 1.00], worse |" in _line(marked, "| `tmu-soft/a` (retired) |")
    assert "(retired)" not in _line(marked, "| `tmu-soft/b`")
    assert any(line.startswith("Retired: ") for line in marked)


def _stream(own: list[list[float]], floor: list[float]) -> Cells:
    made = []
    for number, (values, level) in enumerate(zip(own, floor, strict=True), start=1):
        name = f"stream/{number:02d}"
        made += rows("tmu-soft", "average_gap", values, name) + rows("second gold", "average_gap", [level] * 3, name)
    return _cells(made)


@pytest.mark.parametrize(
    ("last", "floor", "words"),
    [
        ([2.0, 2.1, 2.2], [0.4, 0.41, 0.4], "it drifts away from the gold"),
        ([1.0, 1.2, 1.1], [0.4, 0.41, 0.4], "no drift is shown"),
        ([1.1, 1.21, 1.3], [0.1, 0.9, 0.4], "a change, but no larger than the floor's own"),
        ([0.2, 0.3, 0.4], [0.4, 0.41, 0.4], "it does not fall behind"),
    ],
)
def test_drift_over_a_stream_is_paired_and_read_against_the_floor(last, floor, words) -> None:
    line = _line(stream(_stream([MIDDLE, [1.5, 1.5, 1.5], last], floor)), "- avg gap, deletion 3 minus deletion 1")
    assert words in line


def test_test_accuracy_is_followed_as_the_difference_to_the_gold_of_each_deletion() -> None:
    """Both lose two points: the model falls as a retrained one does, which is no drift."""
    made = []
    for name, level in {"stream/01": 90.0, "stream/02": 88.0}.items():
        made += rows("gold", "accuracy_test", [level, level, level], name)
        made += rows("tmu-soft", "accuracy_test", [level, level + 0.1, level - 0.1], name)
    line = _line(stream(_cells(made)), "- TA minus the gold's")
    assert "+0.00 [0.00, 0.00] pts" in line
    assert "no drift is shown" in line


def test_the_latest_deletion_alone_is_all_that_is_gone_after_the_first() -> None:
    made = rows("tmu-soft", "average_gap", MIDDLE, "stream/01") + rows("tmu-soft", "average_gap", WORSE, "stream/02")
    made += rows("tmu-soft", "latest/average_gap", BETTER, "stream/02")
    assert "-0.80" in _line(stream(_cells(made)), "- avg gap, latest alone, deletion 2 minus deletion 1")


def test_the_predictor_is_beside_its_ceiling() -> None:
    made = rows("twin", "auroc_single_gold", [0.90, 0.91, 0.92]) + rows("twin", "auroc_ceiling", [0.95, 0.96, 0.97])
    assert "-0.050 [-0.050, -0.050], below" in _line(predictor(_cells(made)), f"| {NAME}")
    made[3:] = rows("twin", "auroc_ceiling", [0.91, 0.90, 0.92])
    assert "not distinguishable" in _line(predictor(_cells(made)), f"| {NAME}")
    made += rows("twin", "auroc_targets", [0.93, 0.92, 0.94])
    cells = _line(predictor(_cells(made)), f"| {NAME}").split(" | ")
    assert cells[1].startswith("0.930")
    assert cells[-2] == "+0.020 [0.020, 0.020], above"


@pytest.mark.parametrize(
    ("alone", "whole", "words"),
    [
        (0.2, 0.9, "cheaper than retraining, the first deletion included"),
        (0.4, 1.6, "it pays from 3 deletions on"),  # two deletions cost exactly two retrainings
        (6.0, 7.9, "retraining is the cheaper way, however often that is used"),
    ],
)
def test_the_cost_says_when_what_is_made_once_pays(alone: float, whole: float, words: str) -> None:
    made = rows("tmu-soft", "seconds_ratio_alone", [alone] * 2) + rows("tmu-soft", "seconds_ratio_whole", [whole] * 2)
    assert words in _line(cost(_cells(made)), f"- {NAME}")


def test_fleet_numbers_stand_beside_their_floor() -> None:
    made = rows("tmu-soft", "klom_forget", [0.52]) + rows("tmu-soft", "klom_forget_floor", [0.351])
    lines = fleet(_cells(made))
    assert _line(lines, "| random-10") == "| random-10 | KLoM forget (nats) ↓ | its floor |"
    assert _line(lines, "| `tmu-soft`") == "| `tmu-soft` | 0.520 | 0.351 |"


@pytest.mark.parametrize("section", [summary, ablation, stream, predictor, fleet, cost])
def test_a_section_without_numbers_is_left_out(section) -> None:
    assert section(_cells([])) == []
    assert section(_cells(rows("gold", "ua", MIDDLE))) == []
    assert comparison(_cells([]), NAME) == []
