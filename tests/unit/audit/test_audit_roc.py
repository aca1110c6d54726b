import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tmu.audit.roc import area, resampled_tallies, tally, tpr_at


def _slow_area(positives, negatives):
    return np.mean([(p > q) + 0.5 * (p == q) for p in positives for q in negatives])


def _slow_tpr(fpr, positives, negatives):
    rates = [0.0]
    for threshold in np.concatenate([positives, negatives]):
        if np.mean(negatives >= threshold) <= fpr:
            rates.append(np.mean(positives >= threshold))
    return max(rates)


@pytest.mark.parametrize("levels", [3, 10, 1000])
@pytest.mark.parametrize("fpr", [0.0, 0.01, 0.1, 1.0])
def test_area_and_tpr_against_slow_loops_with_ties(levels, fpr):
    rng = np.random.default_rng(levels)
    positives, negatives = rng.integers(0, levels, 40) + 1, rng.integers(0, levels, 130)
    scores, claimed = np.concatenate([positives, negatives]), np.repeat([1, 0], [40, 130])
    assert area(*tally(scores, claimed)) == pytest.approx(_slow_area(positives, negatives), abs=1e-12)
    assert area(*tally(scores, claimed)) == pytest.approx(roc_auc_score(claimed, scores), abs=1e-12)
    assert tpr_at(fpr, *tally(scores, claimed)) == pytest.approx(_slow_tpr(fpr, positives, negatives), abs=1e-12)


def test_one_in_a_hundred_is_allowed_one_in_99_is_not():
    negatives = np.arange(100.0)
    below_top = tally(np.append(negatives, 98.5), np.append(np.zeros(100), 1))
    assert tpr_at(0.01, *below_top) == 1.0
    below_29 = tally(np.append(negatives, 70.5), np.append(np.zeros(100), 1))
    assert tpr_at(0.29, *below_29) == 1.0  # 0.29 * 100 is below 29 in floating point
    fewer = tally(np.append(negatives[1:], 98.5), np.append(np.zeros(99), 1))
    assert tpr_at(0.01, *fewer) == 0.0


def test_resampled_tallies_count_every_record_and_keep_to_its_side():
    positives, negatives = np.array([1.0, 1.0, 5.0]), np.array([0.0, 1.0, 2.0, 2.0])
    blocks = list(resampled_tallies(positives, negatives, 500, np.random.default_rng(0)))
    up, down = (np.concatenate([block[side] for block in blocks]) for side in (0, 1))
    assert (up.shape, down.shape) == ((500, 4), (500, 4))  # levels 0, 1, 2, 5
    assert (up.sum(axis=1) == 3).all() and (down.sum(axis=1) == 4).all()
    assert up.mean(axis=0) == pytest.approx([0, 2, 0, 1], abs=0.15)
    assert down.mean(axis=0) == pytest.approx([1, 1, 2, 0], abs=0.15)


def test_bootstrapped_area_spreads_as_theory_says():
    rng = np.random.default_rng(0)
    positives, negatives = rng.normal(1, 1, 100), rng.normal(0, 1, 100)
    areas = np.concatenate([area(*b) for b in resampled_tallies(positives, negatives, 2000, rng)])
    a = _slow_area(positives, negatives)  # standard error of Hanley and McNeil 1982
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + 99 * (q1 - a * a) + 99 * (q2 - a * a)) / 100**2)
    assert areas.std() == pytest.approx(error, rel=0.25)
    assert areas.mean() == pytest.approx(a, abs=0.01)
