"""Who is best, who is tied, who does not compete; ranks; the ratio's interval."""

import numpy as np
import pytest
from scipy import stats

from bench.tables.cells import Cells
from bench.tables.columns import column
from bench.tables.contest import contest, mean_ranks
from bench.tables.ratio import ratio
from tests.result_tables import row, rows, table


def _cells(made: list[dict]) -> Cells:
    return Cells.of(table(made), "d")


def _contest(made: list[dict], metric: str = "average_gap"):
    cells = _cells(made)
    return contest(cells, "random-10", column(cells, metric))


def test_tied_is_who_cannot_be_told_from_the_best_by_paired_differences() -> None:
    """`c` is one point worse on every seed: unpaired the spread would hide it, paired it does not."""
    made = rows("a", "average_gap", [1.0, 5.0, 9.0]) + rows("b", "average_gap", [1.3, 4.9, 9.2])
    held = _contest(made + rows("c", "average_gap", [2.0, 6.1, 10.0]))
    assert (held.best, held.tied) == ("a", ("b",))
    assert held.winners == {"a", "b"}
    assert held.behind("c").low > 0.8


def test_higher_is_better_where_the_metric_says_so() -> None:
    made = rows("a", "label_agreement", [90, 91, 92]) + rows("b", "label_agreement", [95, 96.2, 97])
    assert _contest(made, "label_agreement").winners == {"b"}


def test_where_the_gold_is_the_aim_the_nearest_wins_from_either_side() -> None:
    made = rows("gold", "ua", [10.0, 10.0, 10.0]) + rows("far", "ua", [5.0, 5.1, 4.9])
    made += rows("above", "ua", [10.3, 10.4, 10.3]) + rows("below", "ua", [9.0, 9.1, 9.0])
    assert _contest(made, "ua").winners == {"above"}
    assert _contest([each for each in made if each["method"] != "gold"], "ua").best is None


def test_a_row_that_lacks_a_seed_does_not_compete() -> None:
    held = _contest(rows("whole", "average_gap", [1.0, 1.1, 1.2]) + rows("lucky", "average_gap", [0.1]))
    assert (held.best, held.incomplete) == ("whole", ("lucky",))


@pytest.mark.parametrize("control", ["original", "gold", "second gold", "random choice", "retrain", "gold 3"])
def test_golds_and_controls_do_not_compete(control: str) -> None:
    held = _contest(rows("a", "average_gap", [1.0, 1.1]) + rows(control, "average_gap", [0.1, 0.1]))
    assert (held.best, set(held.scores)) == ("a", {"a"})


def test_with_one_seed_only_equal_numbers_are_tied() -> None:
    made = rows("a", "average_gap", [1.0]) + rows("b", "average_gap", [1.001]) + rows("c", "average_gap", [1.0])
    assert _contest(made).winners == {"a", "c"}


def test_a_value_that_is_not_a_number_counts_as_not_measured() -> None:
    held = _contest(rows("a", "average_gap", [1.0, 1.1]) + rows("b", "average_gap", [0.5, float("nan")]))
    assert held.incomplete == ("b",)


def test_ranks_are_averaged_over_forget_sets_and_refusing_is_last() -> None:
    made = []
    for name, order in {"x": (1, 2), "y": (2, 1)}.items():
        for method, level in zip(("a", "b"), order, strict=True):
            made += rows(method, "average_gap", [level, level + 0.1], name)
    made += rows("shy", "average_gap", [0.1, 0.1], "x") + rows("shy", "refused", [1, 1], "y")
    cells = _cells(made)
    ranks = {method: (e.mean, sets) for method, (e, sets) in mean_ranks(cells, column(cells, "average_gap")).items()}
    assert ranks == {"a": (2.0, 2), "b": (2.0, 2), "shy": (2.0, 2)}  # 2+2, 3+1, 1+3


def test_a_method_of_fewer_forget_sets_says_so() -> None:
    made = rows("a", "average_gap", [1, 1], "x") + rows("a", "average_gap", [1, 1], "y")
    cells = _cells(made + rows("b", "average_gap", [2, 2], "y"))
    assert mean_ranks(cells, column(cells, "average_gap"))["b"][1] == 1


def test_the_ratio_ends_where_students_t_rejects() -> None:
    """At an end r of Fieller's interval the paired test of "first = r second" stands exactly at 5 %."""
    rng = np.random.default_rng(0)
    second = {seed: 1 + 0.2 * rng.standard_normal() for seed in range(6)}
    first = {seed: 2 * value + 0.1 * rng.standard_normal() for seed, value in second.items()}
    found = ratio(first, second)
    assert found.low < found.mean < found.high
    for end in (found.low, found.high):
        assert stats.ttest_1samp([first[s] - end * second[s] for s in first], 0).pvalue == pytest.approx(0.05)


def test_a_floor_near_zero_leaves_the_ratio_without_upper_end() -> None:
    assert ratio({0: 1.0, 1: 2.0, 2: 1.5}, {0: 0.0, 1: 0.9, 2: 0.0}).high == float("inf")
    assert ratio({0: 1.0}, {0: 0.0}) is None
    assert ratio({0: 1.0}, {1: 1.0}) is None
    assert np.isnan(ratio({0: 1.0}, {0: 0.5}).low)


def test_forget_sets_and_rows_come_in_the_order_of_the_protocol() -> None:
    made = [
        row(m, "ua", 1.0, forget_set=f) for f in ("zebra", "person", "random-10") for m in ("tmu-soft", "new", "gold")
    ]
    made += [
        row("tmu-soft/x", "ua", 1.0),
        row("twin", "auroc_ceiling", 1.0),
        row("tmu-soft", "ua", 1.0, 0, "stream/02"),
    ]
    cells = _cells(made)
    assert cells.forget_sets() == ["random-10", "person", "zebra"]
    assert cells.rows("random-10") == ["gold", "new", "tmu-soft"]
    assert cells.ablations("random-10") == ["tmu-soft/x"]
    assert cells.stream() == {2: "stream/02"}
