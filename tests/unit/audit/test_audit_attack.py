import numpy as np
import pytest

from tmu.audit.attack import nonmembers


def _published(kept, unseen, asked):
    """The published attack: as many kept as unseen confidences, an RBF SVC."""
    from sklearn.svm import SVC

    drawn = np.random.default_rng(0).choice(kept, size=len(unseen), replace=False)
    features, member = np.concatenate([drawn, unseen])[:, None], np.repeat([1, 0], len(unseen))
    return SVC(C=3, gamma="auto", kernel="rbf").fit(features, member).predict(asked[:, None]) == 0


@pytest.fixture(scope="module")
def confidences():
    rng = np.random.default_rng(0)
    return rng.beta(9, 1, 3000), rng.beta(2, 2, 400)


def test_the_attack_knows_members_from_nonmembers_and_not_the_other_way_round(confidences):
    kept, unseen = confidences
    asked = np.array([0.99, 0.98, 0.3, 0.4])
    assert nonmembers(kept, unseen, asked, seed=0).tolist() == [False, False, True, True]


def test_the_logistic_attack_and_the_published_svc_agree_on_most_records(confidences):
    kept, unseen = confidences
    asked = np.random.default_rng(1).beta(3, 1, 500)
    assert np.mean(nonmembers(kept, unseen, asked, seed=0) == _published(kept, unseen, asked)) > 0.85


def test_classes_are_balanced_however_many_records_were_kept(confidences):
    kept, unseen = confidences
    threshold = {n: nonmembers(kept[:n], unseen, np.linspace(0, 1, 1001), seed=0).sum() for n in (400, 3000)}
    assert abs(threshold[400] - threshold[3000]) < 50  # an unbalanced fit moves it by some 250


def test_a_slow_gradient_descent_finds_the_same_threshold(confidences):
    kept, unseen = confidences
    x = np.concatenate([kept[:400], unseen])
    y = np.repeat([1.0, 0.0], 400)
    slope = offset = 0.0
    for _ in range(60_000):
        error = 1 / (1 + np.exp(-(slope * x + offset))) - y
        slope, offset = slope - 0.005 * ((error * x).sum() + slope), offset - 0.005 * error.sum()
    grid = np.linspace(0, 1, 1001)
    fitted = nonmembers(kept[:400], unseen, grid, seed=0).sum() / 1000
    assert fitted == pytest.approx(-offset / slope, abs=0.005)


def test_one_record_on_each_side_is_enough():
    assert nonmembers(np.array([0.9]), np.array([0.2]), np.array([0.1]), seed=0).tolist() == [True]
