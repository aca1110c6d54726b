import numpy as np
import pytest

from tmu.audit import bootstrap
from tmu.audit.bootstrap import Value, absolute, interval, mean_value, resampled_means


def test_counting_and_gathering_draw_the_same_distribution(monkeypatch):
    values = np.random.default_rng(0).integers(0, 3, (80, 1)).astype(float)
    counted = resampled_means(values, 4000, np.random.default_rng(1))
    monkeypatch.setattr(bootstrap, "_FEW", 0)
    gathered = resampled_means(values, 4000, np.random.default_rng(1))
    assert counted.mean() == pytest.approx(values.mean(), abs=0.01)
    assert gathered.mean() == pytest.approx(values.mean(), abs=0.01)
    assert counted.std() == pytest.approx(gathered.std(), rel=0.05)
    assert counted.std() == pytest.approx(values.std() / np.sqrt(80), rel=0.05)


def test_columns_of_one_record_are_resampled_together():
    column = np.random.default_rng(0).normal(size=40)
    for spread in (column, np.sign(column)):
        means = resampled_means(np.stack([spread, -spread], axis=1), 200, np.random.default_rng(0))
        assert means[:, 0] == pytest.approx(-means[:, 1])


def test_small_blocks_change_nothing_about_the_number_of_resamples(monkeypatch):
    monkeypatch.setattr(bootstrap, "_BLOCK", 700)
    means = resampled_means(np.random.default_rng(0).normal(size=(100, 1)), 1001, np.random.default_rng(0))
    assert means.shape == (1001, 1)


@pytest.mark.parametrize("n", [8, 30, 200])
def test_the_interval_covers_the_truth_about_95_times_in_100(n):
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(300):
        value = mean_value(rng.normal(0.3, 0.1, n), (-1.0, 1.0), 300, seed)
        hits += value.low <= 0.3 <= value.high
    assert 0.90 <= hits / 300 <= 0.99


def test_one_record_gives_a_wide_interval():
    assert mean_value(np.array([100.0]), (0.0, 100.0), 100, 0) == Value(100.0, pytest.approx(2.5), 100.0)


def test_records_that_are_all_alike_give_the_exact_binomial_bound():
    value = mean_value(np.full(30, 100.0), (0.0, 100.0), 100, 0)
    assert (value.low, value.high) == (pytest.approx(100 * 0.025 ** (1 / 30)), 100.0)  # Clopper and Pearson 1934


def test_the_interval_holds_the_value_and_stays_in_the_span():
    value = interval(0.5, np.linspace(0.6, 1.0, 100), 5, (0.0, 1.0))
    assert (value.low, value.value, value.high) == (0.5, 0.5, 1.0)


def test_folding_at_zero():
    assert absolute(Value(-3.0, -5.0, -1.0)) == Value(3.0, 1.0, 5.0)
    assert absolute(Value(-1.0, -5.0, 2.0)) == Value(1.0, 0.0, 5.0)


def test_same_seed_same_interval_other_seed_another():
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (mean_value(values, (-9.0, 9.0), 200, seed) for seed in (0, 0, 1))
    assert first == again != other
