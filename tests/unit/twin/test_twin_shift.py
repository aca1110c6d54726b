"""The shift test: silent where nothing differs, loud where it matters, and weights that fix what can be fixed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tmu.twin.balance import balancing_weights
from tmu.twin.class_mix import LIMITS, class_shift, kish
from tmu.twin.separation import class_centred, cross_scores, permuted, stratified_auc
from tmu.twin.shift import Sample, shift_report, weighted

CLASSES, COLUMNS = 4, 8
QUICK = replace(LIMITS, draws=499)


def draw(n: int, generator: torch.Generator, *, moved: float = 0.0, mix: list[int] | None = None) -> Sample:
    """`n` records of four classes, one Gaussian each; `moved` shifts the first column."""
    labels = torch.multinomial(torch.tensor(mix or [1] * CLASSES).float(), n, replacement=True, generator=generator)
    features = 3 * torch.eye(CLASSES, COLUMNS)[labels] + torch.randn(n, COLUMNS, generator=generator)
    features[:, 0] += moved
    return Sample(features, labels)


def tail(n: int, generator: torch.Generator, least: float = 1.0) -> Sample:
    """A cluster: the records beyond `least` spreads on one side of each class."""
    pool = draw(20 * n, generator)
    side = pool.features[:, 1] - 3 * (pool.labels == 1)
    return pool.take(torch.nonzero(side > least)[:n, 0])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def report(forget: Sample, holdout: Sample, *, kept: int = 2000, **options: object):
    return shift_report(forget, holdout, draw(kept, rng(99)).labels, limits=QUICK, **options)


def test_equal_distributions_raise_no_more_alarms_than_the_level_says() -> None:
    found = [report(draw(60, rng(seed)), draw(200, rng(1000 + seed)), seed=seed) for seed in range(200)]
    p = np.array([[each.p_features, each.classes.p] for each in found])
    assert (p < 0.05).mean(0) == pytest.approx(0.05, abs=0.045)  # three standard errors of 200 draws
    assert (p < 0.01).mean(0).max() <= 0.03
    assert sum(each.verdict != "alike" for each in found) <= 8


def test_a_cluster_is_found_nearly_always() -> None:
    found = [report(tail(60, rng(seed)), draw(300, rng(1000 + seed)), seed=seed) for seed in range(20)]
    assert sum(each.covariate for each in found) >= 19
    assert np.mean([each.auc for each in found]) > 0.75


def test_a_difference_that_is_significant_but_small_is_no_shift() -> None:
    found = report(draw(2000, rng(1), moved=0.25), draw(6000, rng(2)), kept=9000)
    assert found.p_features < LIMITS.alpha
    assert 0.5 < found.auc < LIMITS.auc
    assert found.verdict == "alike"


def test_a_difference_that_is_large_but_may_be_chance_is_no_shift() -> None:
    found = [report(draw(12, rng(seed)), draw(40, rng(500 + seed)), seed=seed) for seed in range(40)]
    largest = max(found, key=lambda each: each.auc)
    assert largest.auc > LIMITS.auc
    assert largest.p_features > LIMITS.alpha
    assert largest.verdict == "alike"


def test_weights_make_the_hold_out_look_like_a_cluster() -> None:
    forget, holdout = tail(300, rng(1), least=0.5), draw(3000, rng(2))
    found = report(forget, holdout)
    weights, _ = weighted(forget, holdout, found, 0)
    assert found.verdict == "covered"
    assert found.residual_auc == pytest.approx(0.5, abs=0.08) and found.auc > 0.75
    assert float(weights.mean()) == pytest.approx(1, abs=1e-5)
    assert kish(weights.numpy()) == pytest.approx(found.effective, rel=1e-4) and found.effective < 0.6 * len(holdout)
    side = forget.features[:, 1].mean(), holdout.features[:, 1].mean(), (weights * holdout.features[:, 1]).mean()
    assert abs(side[2] - side[0]) < 0.2 * abs(side[1] - side[0])


def test_weights_of_a_class_mix_are_the_class_ratios() -> None:
    mix = [6, 2, 1, 1]
    forget, holdout = draw(300, rng(1), mix=mix), draw(1000, rng(2))
    found = report(forget, holdout)
    weights, _ = weighted(forget, holdout, found, 0)
    assert (found.verdict, found.covariate, found.residual_auc) == ("covered", False, None)
    shares = torch.bincount(forget.labels) / len(forget)
    weighed = torch.bincount(holdout.labels, weights=weights) / weights.sum()
    assert torch.allclose(weighed.float(), shares, atol=1e-4)
    for label in range(CLASSES):
        assert weights[holdout.labels == label].std() < 1e-6


def test_where_nothing_differs_all_weights_are_one() -> None:
    forget, holdout = draw(100, rng(1)), draw(500, rng(2))
    assert torch.equal(weighted(forget, holdout, report(forget, holdout), 0)[0], torch.ones(500).double())


def test_sets_that_hardly_overlap_are_refused() -> None:
    found = report(draw(200, rng(1), moved=6.0), draw(1000, rng(2)))
    assert (found.verdict, found.auc > 0.99) == ("refuse", True)
    assert "re-weighted" in found.reason
    assert found.residual_auc > LIMITS.residual_auc or found.effective < LIMITS.effective


def test_a_class_without_hold_out_records_is_refused_by_its_name() -> None:
    holdout = draw(500, rng(2))
    found = report(draw(50, rng(1)), holdout.take(holdout.labels != 2), names=["ankle", "bag", "coat", "dress"])
    assert found.verdict == "refuse"
    assert "Class `coat` has no hold-out record" in found.reason


def test_no_hold_out_at_all_is_refused() -> None:
    assert report(draw(50, rng(1)), draw(500, rng(2)).take(torch.arange(0))).verdict == "refuse"


@pytest.mark.parametrize(("lost", "verdict"), [(49, "covered"), (51, "refuse"), (100, "refuse")])
def test_most_of_a_class_is_refused(lost: int, verdict: str) -> None:
    forget = draw(lost, rng(1), mix=[1, 0, 0, 0])
    kept = torch.cat([torch.zeros(100 - lost, dtype=torch.long), torch.arange(400) % 3 + 1])
    found = shift_report(forget, draw(800, rng(2)), kept, limits=QUICK)
    assert (found.verdict, max(found.classes.removed)) == (verdict, lost / 100)
    assert ("51 %" in found.reason) == (lost == 51)


def test_a_mix_that_leaves_too_little_of_the_hold_out_is_refused() -> None:
    found = report(draw(60, rng(1), mix=[0, 0, 0, 1]), draw(80, rng(2)))
    assert found.verdict == "refuse"
    assert found.classes.effective < LIMITS.effective


def test_a_handful_of_records_says_that_it_cannot_be_compared() -> None:
    found = report(draw(5, rng(1), moved=9.0), draw(300, rng(2)))
    assert (found.auc, found.p_features) == (None, None)
    assert "too few" in found.reason


def test_features_of_two_networks_would_pass_for_a_shift() -> None:
    """Why both sets are looked at through one network: here they differ in nothing else."""
    forget, holdout = draw(200, rng(1)), draw(800, rng(2))
    turned = Sample(
        holdout.features @ torch.linalg.qr(torch.randn(COLUMNS, COLUMNS, generator=rng(3)))[0], holdout.labels
    )
    assert report(forget, holdout).verdict == "alike"
    assert report(forget, Sample(turned.features + 0.5, turned.labels)).covariate


def test_the_report_is_json_and_repeats() -> None:
    forget, holdout = tail(60, rng(1)), draw(300, rng(2))
    first, second = (report(forget, holdout, seed=3).as_json() for _ in range(2))
    assert json.loads(json.dumps(first)) == second
    assert first["verdict"] == "covered"


def test_the_auc_against_a_plain_loop() -> None:
    generator = rng(4)
    labels, groups = torch.randint(0, 2, (30,), generator=generator), torch.randint(0, 2, (30, 3), generator=generator)
    scores, weights = torch.randn(30, 3, generator=generator, dtype=torch.double), torch.rand(30, generator=generator)
    found = stratified_auc(scores, labels, groups, weights)
    for column in range(3):
        shares = []
        for row in torch.nonzero(groups[:, column])[:, 0]:
            others = (groups[:, column] == 0) & (labels == labels[row])
            lower = others & (scores[:, column] < scores[row, column])
            shares.append(float(weights[lower].sum() / weights[others].sum()))
        assert float(found[column]) == pytest.approx(np.mean(shares), abs=1e-6)


def test_labellings_keep_the_numbers_of_every_class() -> None:
    labels, groups = torch.arange(40) % 4, (torch.arange(40) % 3 == 0).long()
    columns = permuted(labels, groups, 5, rng())
    assert torch.equal(columns[:, 0], groups)
    assert not torch.equal(columns[:, 1], groups)
    for label in range(4):
        assert columns[labels == label].sum(0).unique().tolist() == [int(groups[labels == label].sum())]


def test_no_record_is_scored_by_a_discriminant_that_saw_it() -> None:
    """With more columns than records, scores of fitted records would separate any labelling."""
    labels = torch.zeros(40, dtype=torch.long)
    groups = torch.cat([torch.stack([torch.randperm(40, generator=rng(seed)) % 2]) for seed in range(50)]).T
    x = class_centred(torch.randn(40, 100, generator=rng(7)), labels)
    aucs = stratified_auc(cross_scores(x, labels, groups, rng()), labels, groups)
    assert float(aucs.mean()) == pytest.approx(0.5, abs=0.06)


def test_class_means_play_no_part() -> None:
    one, labels = torch.randn(60, 3, generator=rng(5)), torch.arange(60) % 3
    assert torch.allclose(class_centred(one, labels), class_centred(one + 50 * labels[:, None], labels), atol=1e-4)


def test_the_mix_test_against_counting() -> None:
    """Two classes: the exact chance is a hypergeometric tail (Fisher's test)."""
    from scipy.stats import fisher_exact

    found = class_shift(np.array([9, 3]), np.array([50, 50]), np.array([10, 14]), limits=replace(LIMITS, draws=4000))
    assert found.p == pytest.approx(fisher_exact([[9, 3], [10, 14]]).pvalue, abs=0.025)
    assert found.distance == pytest.approx(9 / 12 - 10 / 24)
    assert found.removed == pytest.approx([9 / 59, 3 / 53])


def test_balance_keeps_to_its_bound_and_to_every_class() -> None:
    scores, labels = torch.randn(400, generator=rng(1)).double(), torch.arange(400) % 2
    weights = balancing_weights(scores, labels, torch.full((50,), 5.0).double(), torch.arange(50) % 2, bound=4.0)
    for label in range(2):
        mine = weights[labels == label]
        assert float(mine.mean()) == pytest.approx(1)
        assert float(mine.max() / mine.min()) <= 16 + 1e-6
    assert np.all(
        np.diff(weights[labels == 0][scores[labels == 0].argsort()].numpy()) >= -1e-12
    )  # rises with the score
    reachable = balancing_weights(scores, labels, torch.full((50,), 0.4).double(), torch.arange(50) % 2, bound=20.0)
    assert float((reachable * scores).mean()) == pytest.approx(0.4, abs=1e-3)
