import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2

from tmu.audit.person import DRAWS, FPR, conformal_p_values, persons_evidence
from tmu.errors import DataError


def person_evidence(subjects, scores, population, seed, draws=DRAWS):
    """Evidence of one model in one direction."""
    return persons_evidence(subjects, [(scores, population)], seed, draws=draws)[0]


def test_p_values_against_a_slow_count_with_ties():
    rng = np.random.default_rng(0)
    scores, population = rng.integers(0, 9, 40), rng.integers(0, 9, 100)
    slow = [(1 + sum(other >= each for other in population)) / 101 for each in scores]
    assert conformal_p_values(scores, population) == pytest.approx(slow)


def test_evidence_and_its_interval_against_the_written_formula():
    subjects, scores = np.array([7, 3, 7, 7]), np.array([3.0, 0.5, 1.0, 2.0])
    population = np.random.default_rng(1).normal(0, 1, 200)
    found = person_evidence(subjects, scores, population, seed=0)
    assert found.subjects.tolist() == [3, 7] and found.records.tolist() == [1, 3]
    p = conformal_p_values(scores, population)
    assert found.evidence == pytest.approx([-np.log(p[1]), -np.log(p[[0, 2, 3]]).mean()])
    for place, n in enumerate((1, 3)):
        ends = 2 * n * found.evidence[place] / chi2.ppf([0.975, 0.025], 2 * n)
        assert [found.low[place], found.high[place]] == pytest.approx(list(ends))


@pytest.mark.parametrize("records", [1, 5, 30])
def test_unknown_persons_are_accused_at_the_stated_rate(records):
    """Fresh never-seen records for every person: the guarantee is over both draws, and the count then binomial."""
    rng, persons, accused = np.random.default_rng(records), 1500, 0
    for seed in range(persons):
        scores, population = rng.standard_t(2, records), rng.standard_t(2, 199)
        accused += person_evidence(np.zeros(records, int), scores, population, seed=seed, draws=199).known[0]
    low, high = binom.ppf([0.0005, 0.9995], persons, FPR)
    assert low <= accused <= high


def test_fishers_chi_square_would_accuse_too_often_where_this_does_not():
    rng, records, ours, fishers = np.random.default_rng(5), 400, 0, 0
    for block in range(250):
        scores, population = rng.normal(0, 1, records), rng.normal(0, 1, 100)
        found = person_evidence(np.zeros(records, int), scores, population, seed=block, draws=99)
        ours += int(found.known[0])
        fishers += chi2.sf(2 * records * found.evidence[0], 2 * records) <= FPR
    assert ours <= binom.ppf(0.9999, 250, FPR) < fishers


def test_a_memorised_person_is_found_and_the_interval_says_so():
    rng = np.random.default_rng(2)
    subjects, population = np.repeat(np.arange(40), 20), rng.normal(0, 1, 1000)
    scores = rng.normal(0, 1, 800) + 1.0 * (subjects < 10)
    found = person_evidence(subjects, scores, population, seed=0)
    assert found.known[:10].all() and (found.low[:10] > 1).all()
    assert found.known[10:].sum() <= 2 and (found.evidence[:10] > found.evidence[10:].max()).all()
    assert ((found.p_value <= FPR) == found.known).all() and found.p_value.min() >= 1e-4


def test_shared_ease_accuses_too_often_until_it_is_taken_out():
    """The stated failure mode, and its hint: subtract what the golds say."""
    rng = np.random.default_rng(3)
    subjects = np.repeat(np.arange(100), 10)
    ease, noise = rng.normal(0, 2, 100)[subjects], rng.normal(0, 1, (2, 1000))
    ease_unseen, noise_unseen = rng.normal(0, 2, 1000), rng.normal(0, 1, (2, 1000))
    raw = person_evidence(subjects, ease + noise[0], ease_unseen + noise_unseen[0], seed=0)
    fixed = person_evidence(subjects, noise[0] - noise[1], noise_unseen[0] - noise_unseen[1], seed=0)
    assert raw.known.sum() > 10 and fixed.known.sum() <= 4


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_any_increasing_map_and_any_order_change_nothing(seed, records):
    rng = np.random.default_rng(seed)
    subjects, scores = rng.integers(0, 4, records), rng.normal(0, 1, records)
    population = rng.normal(0, 1, 120)
    found = person_evidence(subjects, scores, population, seed=1, draws=99)
    order = rng.permutation(records)
    again = person_evidence(subjects[order], np.exp(scores[order]), np.exp(population), seed=1, draws=99)
    assert (found.p_value == again.p_value).all() and np.allclose(found.evidence, again.evidence)
    assert (found.low <= found.evidence).all() and (found.evidence <= found.high).all()


def test_sets_that_cannot_decide_are_refused():
    subjects, scores, population = np.zeros(3, int), np.zeros(3), np.zeros(99)
    assert not person_evidence(subjects, scores, population, seed=0, draws=99).known.any()
    with pytest.raises(DataError, match="3 subjects for 2 scores"):
        person_evidence(subjects, scores[:2], population, seed=0)
    with pytest.raises(DataError, match="98 never-seen records or draws"):
        person_evidence(subjects, scores, population[:98], seed=0)
    with pytest.raises(DataError, match="98 never-seen records or draws"):
        person_evidence(subjects, scores, population, seed=0, draws=98)
    with pytest.raises(DataError, match="not a finite number"):
        person_evidence(subjects, scores + np.nan, population, seed=0)
