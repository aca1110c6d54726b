import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu.audit.fleet.rmia import rmia, rmia_scores
from tmu.errors import DataError


def _fleet(seed, references=4, records=30, population=40, gain=0.0):
    rng = np.random.default_rng(seed)
    ease, ease_z = rng.normal(0, 2, records), rng.normal(0, 2, population)
    out = np.stack([rng.permutation(references) < max(1, references // 2) for _ in range(records)], axis=1)
    truth = rng.random(records) < 0.5

    def probability(logit):
        return 1 / (1 + np.exp(-logit - rng.normal(0, 0.5, logit.shape)))

    return truth, (
        probability(ease + gain * truth),
        probability(np.broadcast_to(ease, (references, records)) + gain * ~out),
        out,
        probability(ease_z),
        probability(np.broadcast_to(ease_z, (references, population))),
    )


def _slow(target, references, out, population, population_references, a, gamma):
    def ratio(p, others):
        return p / ((1 + a) / 2 * np.mean(others) + (1 - a) / 2)

    of_z = [ratio(p, population_references[:, z]) for z, p in enumerate(population)]
    of_x = [ratio(p, references[out[:, x], x]) for x, p in enumerate(target)]
    return np.array([np.mean([x > gamma * z for z in of_z]) for x in of_x])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0.0, 0.3, 0.9]), st.sampled_from([1.0, 1.5]))
def test_against_a_double_loop(seed, references, a, gamma):
    _, fleet = _fleet(seed, references)
    assert rmia_scores(*fleet, a=a, gamma=gamma) == pytest.approx(_slow(*fleet, a, gamma))


def test_a_record_equal_to_the_population_is_not_above_it():
    one, out = np.full((2, 3), 0.5), np.ones((2, 3), dtype=bool)
    assert (rmia_scores(one[0], one, out, one[0], one) == 0).all()


def test_all_out_references_count_and_no_other():
    """The `num_reference_models` trap: only the largest half of the OUT signals, and zeros where there are fewer."""
    _, (target, references, out, population, population_references) = _fleet(3, references=6)

    def scores(signals, used):
        return rmia_scores(target, signals, used, population, population_references)

    assert (scores(np.where(out, references, 0.123), out) == scores(references, out)).all()  # IN signals do not count
    lowest = references * (np.arange(6) != np.where(out, references, 2.0).argmin(axis=0)[:, None]).T
    assert (scores(lowest, out) >= scores(references, out)).all()  # the lowest OUT signal does
    assert (scores(lowest, out) > scores(references, out)).any()
    zeros = np.where(out, references, 0.0)
    assert not np.allclose(scores(zeros, np.ones_like(out)), scores(references, out))  # what padding would give


def test_it_finds_members_and_none_where_there_are_none():
    truth, fleet = _fleet(1, records=2000, population=1000, gain=3.0)
    found = rmia(rmia_scores(*fleet), truth)
    assert found.auc > 0.8 and found.tpr_at_1pct_fpr > 0.02
    truth, fleet = _fleet(2, records=2000, population=1000, gain=0.0)
    assert rmia(rmia_scores(*fleet), truth).auc == pytest.approx(0.5, abs=0.04)


def test_records_without_a_reference_or_a_population_or_one_kind_are_refused():
    _, (target, references, out, population, population_references) = _fleet(0)
    with pytest.raises(DataError, match="seen by every reference"):
        rmia_scores(target, references, out & (np.arange(30) > 0), population, population_references)
    with pytest.raises(DataError, match="shapes"):
        rmia_scores(target, references, out, population[:0], population_references[:, :0])
    with pytest.raises(DataError, match="no members or no non-members"):
        rmia(target, np.ones(30, dtype=bool))
