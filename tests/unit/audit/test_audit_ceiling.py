import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from tmu.audit.ceiling import auroc, average_precision, balanced_accuracy, hardest, predictor_ceiling
from tmu.errors import DataError


@pytest.fixture(scope="module")
def golds():
    """Twelve golds over 150 records, each wrong where a shared difficulty and its own luck say so."""
    rng = np.random.default_rng(0)
    difficulty = rng.beta(0.5, 3, 150)
    return difficulty, rng.random((12, 150)) < difficulty


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_auroc_and_average_precision_against_sklearn_with_ties(digits, golds):
    scores, wrong = np.round(golds[0] * 4, digits), golds[1][0]
    assert auroc(scores, wrong) == pytest.approx(roc_auc_score(wrong, scores), abs=1e-12)
    assert average_precision(scores, wrong) == pytest.approx(average_precision_score(wrong, scores), abs=1e-12)


def test_auroc_of_shares_is_the_auroc_of_all_golds_pooled(golds):
    scores, wrong = golds
    pooled = roc_auc_score(wrong.ravel(), np.tile(scores, 12))
    assert auroc(scores, wrong.mean(axis=0)) == pytest.approx(pooled, abs=1e-12)


def test_auroc_without_positives_or_negatives_is_refused():
    for labels in (np.zeros(4, bool), np.ones(4, bool)):
        with pytest.raises(DataError, match="both positive and negative"):
            auroc(np.arange(4.0), labels)


def test_hardest_takes_exactly_as_many_as_asked_and_the_highest_ones():
    assert hardest(np.array([0.1, 0.9, 0.5, 0.5]), 2).tolist() == [False, True, True, False]
    assert hardest(np.zeros(5), 3).sum() == 3
    assert hardest(np.zeros(5), 0).sum() == 0


def test_balanced_accuracy_against_sklearn(golds):
    chosen, wrong = hardest(golds[0], 20), golds[1][0]
    assert balanced_accuracy(chosen, wrong) == pytest.approx(balanced_accuracy_score(wrong, chosen))


def test_the_ceiling_against_a_slow_loop(golds):
    scores, wrong = golds
    found = predictor_ceiling(scores, wrong, n_hard=20)
    expected = []
    for left_out in range(12):
        rest = np.mean([wrong[other] for other in range(12) if other != left_out], axis=0)
        expected.append(roc_auc_score(wrong[left_out], rest))
    assert found["ceiling"]["mean"] == pytest.approx(np.mean(expected))
    assert found["auroc"]["mean"] == pytest.approx(np.mean([roc_auc_score(each, scores) for each in wrong]))
    assert (found["auroc"]["min"], found["auroc"]["n"]) == (min(auroc(scores, each) for each in wrong), 12)
    assert found["ceiling"]["mean"] < 1  # label noise: not even eleven golds foresee the twelfth


def test_golds_without_a_wrong_record_are_skipped_and_counted(golds):
    scores, wrong = golds
    found = predictor_ceiling(scores, np.vstack([wrong, np.zeros((2, 150), bool)]), n_hard=20)
    assert (found["golds"], found["skipped"], found["auroc"]["n"], found["ceiling"]["n"]) == (14, 2, 12, 12)


def test_nothing_to_rank_gives_none_and_json(golds):
    found = predictor_ceiling(golds[0], np.zeros((3, 150), bool), n_hard=0)
    assert (found["skipped"], found["auroc"], found["auroc_mean_gold"], found["ceiling"]) == (3, None, None, None)
    json.dumps(found, allow_nan=False)
    assert predictor_ceiling(golds[0], golds[1][:1], n_hard=5)["ceiling"] is None
