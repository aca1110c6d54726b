import numpy as np
import pytest
from scipy.stats import norm

from tmu.audit.fleet.attack import attack_numbers
from tmu.audit.fleet.lira import SMALLEST_SHARE, lira_scores, u_lira, u_lira_scores
from tmu.errors import DataError


def _fleet(seed, shift, shadows=24, records=60):
    """A target and its shadows; a record's confidence rises by `shift` where the model was trained on it."""
    rng = np.random.default_rng(seed)
    ease, spread = rng.normal(0, 3, records), rng.uniform(0.5, 2, records)
    member = rng.permuted(np.arange(shadows)[:, None].repeat(records, 1), axis=0) % 2 == 0
    truth = rng.random(records) < 0.5
    target = rng.normal(ease, spread) + shift * truth
    return target, truth, rng.normal(ease, spread, (shadows, records)) + shift * member, member


def _slow_ratio(observed, inside, outside, floor):
    parts = [norm.logpdf(observed, np.mean(s), np.sqrt(max(np.var(s, ddof=1), floor))) for s in (inside, outside)]
    return parts[0] - parts[1]


def test_lira_against_a_slow_loop():
    target, _, shadows, member = _fleet(0, shift=2)
    sides = [(shadows[member[:, n], n], shadows[~member[:, n], n]) for n in range(len(target))]
    floor = SMALLEST_SHARE * np.mean([[np.var(s, ddof=1) for s in pair] for pair in sides])
    slow = [_slow_ratio(c, *pair, floor) for c, pair in zip(target, sides, strict=True)]
    assert lira_scores(target, shadows, member) == pytest.approx(np.array(slow))


def test_lira_finds_what_was_memorised_and_nothing_else():
    def attacked(target, truth, shadows, member):
        scores = lira_scores(target, shadows, member)
        return attack_numbers(scores[truth], scores[~truth])

    found = attacked(*_fleet(1, shift=4, records=2000))
    assert found.auc > 0.9 and found.tpr_at_1pct_fpr > 0.3 and found.tpr_at_01pct_fpr <= found.tpr_at_1pct_fpr
    nothing = attacked(*_fleet(2, shift=0, records=2000))
    assert nothing.auc == pytest.approx(0.5, abs=0.05) and nothing.tpr_at_1pct_fpr < 0.04


def test_a_record_whose_shadows_agree_by_chance_cannot_outweigh_all_others():
    target, _, shadows, member = _fleet(3, shift=1)
    shadows[member[:, 0], 0] = 0.0
    target[0] = 3.0
    floored = lira_scores(target, shadows, member)[0]
    assert np.isfinite(floored) and floored > -1e4


def test_lira_needs_shadows_on_both_sides():
    target, _, shadows, member = _fleet(4, shift=1)
    member[:, 5] = True
    with pytest.raises(DataError, match="fewer than two shadow models"):
        lira_scores(target, shadows, member)


def test_u_lira_against_a_slow_loop_that_leaves_a_pair_out():
    rng = np.random.default_rng(5)
    unlearned, never = rng.normal(0.5, 1, (6, 4)), rng.normal(0, 1.5, (6, 4))
    floor = SMALLEST_SHARE * np.mean([side.var(axis=0, ddof=1) for side in (unlearned, never)])
    first, second = u_lira_scores(unlearned, never)
    for model in range(6):
        for record in range(4):
            rest = [np.delete(side[:, record], model) for side in (unlearned, never)]
            for side, scores in ((unlearned, first), (never, second)):
                ratio = _slow_ratio(side[model, record], *rest, floor)
                assert scores[model, record] == pytest.approx(1 / (1 + np.exp(-ratio)))


def test_u_lira_is_one_half_without_a_difference_and_rises_with_one():
    rng = np.random.default_rng(6)
    never, gone, left = rng.normal(0, 1, (16, 3000)), rng.normal(0, 1, (16, 3000)), rng.normal(2, 1, (16, 3000))
    nothing = u_lira(gone, never)
    assert nothing.accuracy == pytest.approx(0.5, abs=0.01)
    assert nothing.numbers.auc == pytest.approx(0.5, abs=0.01)
    found = u_lira(left, never)
    assert found.accuracy == pytest.approx(norm.cdf(1), abs=0.03)  # the best rule at two sigma
    assert found.numbers.auc > 0.88 and found.numbers.tpr_at_1pct_fpr > 0.15


def test_u_lira_of_constant_outputs_is_finite_and_unequal_fleets_are_refused():
    flat = np.ones((4, 3))
    assert u_lira(flat, flat).accuracy == 0.5
    assert u_lira(flat + 1, flat).accuracy == 1.0
    with pytest.raises(DataError, match="as many of each"):
        u_lira(flat, np.ones((5, 3)))
    with pytest.raises(DataError, match="at least 3"):
        u_lira(flat[:2], flat[:2])
