"""Intervals over seeds, and the store of results."""

import numpy as np
import pytest
from scipy import stats

from bench import results
from bench.statistics import over_seeds, paired


def test_the_interval_is_students() -> None:
    values = {0: 1.0, 1: 2.0, 2: 4.0}
    low, high = stats.t.interval(0.95, 2, np.mean(list(values.values())), stats.sem(list(values.values())))
    estimate = over_seeds(values)
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert np.isnan(over_seeds({0: 1.0}).low)


def test_paired_differences_use_the_seeds_that_both_have() -> None:
    estimate = paired({0: 3.0, 1: 5.0, 2: 9.0}, {0: 1.0, 1: 4.0})
    assert estimate.mean == 1.5
    assert estimate.n == 2


def test_a_row_measured_again_replaces_the_old_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    row = dict.fromkeys(
        ("dataset", "forget_set", "method", "metric", "unit", "command", "commit", "hardware", "at"), "x"
    )
    results.add(
        "s", [{**row, "seed": 0, "value": 1.0, "seconds": 0.0}, {**row, "seed": 1, "value": 2.0, "seconds": 0.0}]
    )
    results.add("s", [{**row, "seed": 0, "value": 3.0, "seconds": 0.0}])
    assert results.values(results.read("s"), dataset="x", method="x", metric="x") == {0: 3.0, 1: 2.0}
    assert results.read("nothing measured").num_rows == 0


def test_a_whole_cell_that_is_measured_again_leaves_no_old_metric(tmp_path) -> None:
    names = ("dataset", "forget_set", "method", "unit", "command", "commit", "hardware", "at")
    row = dict.fromkeys(names, "x") | {"seconds": 0.0, "value": 1.0}
    results.add("s", [{**row, "seed": seed, "metric": "refused"} for seed in (0, 1)], tmp_path)
    results.add("s", [{**row, "seed": 0, "metric": "ua"}], tmp_path, cells=True)
    found = {(row["seed"], row["metric"]) for row in results.read("s", tmp_path).to_pylist()}
    assert found == {(0, "ua"), (1, "refused")}
    assert results.drop("s", lambda row: row["seed"] == 1, tmp_path) == 1
    assert results.read("s", tmp_path).num_rows == 1
