"""A predictor's quality: ranking, calibration, and the reliability curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmu.twin.quality import predictor_quality

WRONG = np.array([False] * 8 + [True] * 2)


def test_a_perfect_ranking():
    quality = predictor_quality(np.linspace(0.0, 0.9, 10), WRONG)
    assert (quality["auroc"], quality["average_precision"], quality["balanced_accuracy"]) == (1.0, 1.0, 1.0)


def test_all_easy_is_worth_nothing_though_it_is_mostly_right():
    quality = predictor_quality(np.full(10, 0.2), np.roll(WRONG, 5))
    assert quality["auroc"] == pytest.approx(0.5)
    assert quality["average_precision"] == pytest.approx(0.2)
    assert predictor_quality(np.zeros(10), WRONG)["brier"] == quality["brier_all_easy"] == pytest.approx(0.2)
    assert "accuracy" not in quality


def test_numbers_against_plain_loops():
    p = np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.6])
    wrong = np.array([False, False, True, True, False, False])
    quality = predictor_quality(p, wrong, bins=3)
    pairs = [(a > b) + 0.5 * (a == b) for a in p[wrong] for b in p[~wrong]]
    assert quality["auroc"] == pytest.approx(sum(pairs) / len(pairs))
    assert quality["brier"] == pytest.approx(sum((a - b) ** 2 for a, b in zip(p, wrong, strict=True)) / 6)
    # the two highest scores, .8 and .6, are called wrong: one of two wrong ones found, three of four right ones kept
    assert quality["balanced_accuracy"] == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert quality["reliability"] == [
        {"predicted": pytest.approx(0.15), "wrong": 0.0, "n": 2},
        {"predicted": pytest.approx(0.375), "wrong": 0.5, "n": 2},
        {"predicted": pytest.approx(0.7), "wrong": 0.5, "n": 2},
    ]


@given(st.integers(3, 60), st.integers(1, 15), st.integers(0, 1000))
def test_the_reliability_curve_holds_every_record_once(n, bins, seed):
    random = np.random.default_rng(seed)
    p, wrong = random.random(n), np.arange(n) % 3 == 0
    curve = predictor_quality(p, wrong, bins)["reliability"]
    counts = [part["n"] for part in curve]
    assert sum(counts) == n
    assert max(counts) - min(counts) <= 1
    assert [part["predicted"] for part in curve] == sorted(part["predicted"] for part in curve)
    assert sum(part["n"] * part["wrong"] for part in curve) == pytest.approx(wrong.sum())
