import numpy as np
import pytest

from tmu.audit.fleet.forgetting_score import CAP, challenge_score, forgetting_epsilons, forgetting_quality
from tmu.errors import DataError

DELTA = 1e-5


def _slow_single(ours, theirs):
    """(FPR, FNR) of every threshold in both directions, one by one."""
    at_least = [(np.mean(theirs >= t), np.mean(ours < t)) for t in [*ours, *theirs]]
    return at_least + [(np.mean(theirs < t), np.mean(ours >= t)) for t in [*ours, *theirs]]


def _slow_double(ours, theirs):
    """(FPR, FNR) of every interval of the published family, counted without sorting."""
    narrow, wide = sorted((ours, theirs), key=np.ptp)
    steps = np.arange(400)
    right = narrow.max() + (steps[:, None, None] - 199.5) * 4 / 399
    # r - range + o with o from -2 to 2; whole steps from the minimum, so that no rounding decides whether it is inside
    left = narrow.min() + (steps[:, None, None] + steps[None, :, None] - 399) * (4 / 399)
    fpr, tpr = (((left <= side) & (side <= right)).mean(axis=2) for side in (wide, narrow))
    return list(zip(fpr.ravel(), 1 - tpr.ravel(), strict=True))


def _slow_epsilon(attacks):
    found = []
    for fpr, fnr in set(attacks):
        if fpr == 0 and fnr == 0:
            found.append(50.0)
        elif fpr > 0 and fnr > 0:
            terms = [np.log(1 - DELTA - a) - np.log(b) for a, b in ((fpr, fnr), (fnr, fpr)) if 1 - DELTA - a > 0]
            found.append(min(max([0.0, *terms]), 50.0))
    return max(found)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.3), (0.2, 3.0)])
def test_against_every_attack_one_by_one(shift, scale):
    rng = np.random.default_rng(int(10 * shift + scale))
    ours, theirs = rng.normal(shift, scale, (9, 3)), rng.normal(0, 1, (12, 3))
    slow = [_slow_epsilon(_slow_single(*pair) + _slow_double(*pair)) for pair in zip(ours.T, theirs.T, strict=True)]
    assert forgetting_epsilons(ours, theirs) == pytest.approx(slow)
    assert forgetting_epsilons(theirs, ours) == pytest.approx(slow)


def test_the_intervals_see_a_narrow_side_that_no_single_threshold_sees():
    rng = np.random.default_rng(4)
    ours, theirs = rng.normal(0, 0.4, 20), rng.normal(0, 3, 20)
    found = forgetting_epsilons(ours[:, None], theirs[:, None])[0]
    assert found == pytest.approx(_slow_epsilon(_slow_double(ours, theirs)))
    assert found > _slow_epsilon(_slow_single(ours, theirs)) + 0.1


def test_separation_and_flat_sides_get_the_cap_and_equal_constants_none():
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, (20, 1))
    assert forgetting_epsilons(base + 50, base) == CAP
    assert forgetting_epsilons(base * 1e-4 + 0.1, base) == CAP  # one side nearly constant
    assert forgetting_epsilons(np.ones((20, 1)), np.ones((20, 1))) == 0
    assert forgetting_epsilons(np.ones((20, 1)), np.zeros((20, 1))) == CAP


def test_a_spread_below_the_published_grid_is_still_scored():
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(0, 1, (64, 30)), rng.normal(0, 1, (64, 30))
    tiny = forgetting_epsilons(1e-4 * ours, 1e-4 * theirs)
    assert (tiny < 5).all() and np.corrcoef(tiny, forgetting_epsilons(ours, theirs))[0, 1] > 0.3


def test_bins_halve_and_end():
    assert forgetting_quality(np.array([0.0, 0.49]), 512) == 1
    assert forgetting_quality(np.array([0.5]), 512) == 0.5
    assert forgetting_quality(np.array([6.9]), 512) == 2.0**-13
    assert forgetting_quality(np.array([7.0, 50.0]), 512) == 0  # ceil(ln 511) = 7
    assert challenge_score(0.1, (99.0, 100.0), (80.0, 90.0)) == pytest.approx(0.1 * 0.99 * 80 / 90)


def test_the_null_is_far_below_one_as_measured_and_a_shift_lies_far_below_the_null():
    rng = np.random.default_rng(2)
    ease = rng.normal(0, 2, 150)
    retrained, again = rng.normal(ease, 1, (2, 64, 150))
    null = forgetting_quality(forgetting_epsilons(again, retrained), 64)
    assert 0.14 < null < 0.24
    shifted = rng.normal(retrained.mean(axis=0) + 2, 1, (64, 150))
    assert forgetting_quality(forgetting_epsilons(shifted, retrained), 64) < null / 10


def test_tiny_fleets_are_refused():
    with pytest.raises(DataError, match="at least 3"):
        forgetting_epsilons(np.zeros((2, 1)), np.zeros((9, 1)))
