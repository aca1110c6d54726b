"""Distributions as rows: counted as a plain histogram counts them, and never from what is no probability."""

import numpy as np
import pytest

from bench.densities import density_rows, reliability_rows
from tmu.errors import DataError


def test_density_is_the_plain_histogram_with_a_closed_last_bin() -> None:
    confidence = np.concatenate([np.random.default_rng(0).beta(3, 1, 500), [0.0, 1.0, 1.0]]).astype(np.float32)
    rows = density_rows(confidence)
    assert [metric for metric, _, _ in rows] == [f"density_forget/{place:02d}" for place in range(20)]
    expected = np.histogram(confidence, bins=20, range=(0, 1))[0] / len(confidence)
    assert [share for _, share, _ in rows] == pytest.approx(expected)
    assert sum(share for _, share, _ in rows) == pytest.approx(1)


@pytest.mark.parametrize("bad", [[], [0.5, 1.2], [-0.1], [float("nan")], [[0.5]]])
def test_what_is_no_probability_is_refused(bad: list) -> None:
    with pytest.raises(DataError):
        density_rows(np.array(bad, dtype=float))
    with pytest.raises(DataError):
        reliability_rows(np.array(bad, dtype=float), np.array(bad, dtype=float))


def test_reliability_gives_means_by_bin_and_leaves_empty_bins_without() -> None:
    rows = reliability_rows(np.array([0.02, 0.08, 0.95, 1.0]), np.array([0.0, 0.5, 1.0, 0.8]))
    numbers = {metric: value for metric, value, _ in rows}
    assert numbers["reliability/predicted/00"] == pytest.approx(0.05)
    assert numbers["reliability/observed/00"] == pytest.approx(0.25)
    assert numbers["reliability/observed/09"] == pytest.approx(0.9)
    assert [numbers[f"reliability/count/{place:02d}"] for place in range(10)] == [2, *[0] * 8, 2]
    assert "reliability/predicted/04" not in numbers


def test_reliability_refuses_sides_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="3 predictions do not fit 2"):
        reliability_rows(np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0]))
