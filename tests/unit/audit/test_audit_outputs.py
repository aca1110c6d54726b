import numpy as np
import pytest

from tmu.audit.outputs import Outputs, Sets, check_fit, logit_confidence, softmax, true_class_probability
from tmu.errors import DataError, ModelError


def _outputs(n=3, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return Outputs({name: rng.normal(size=(n, k)).astype(np.float32) for name in ("forget", "retain", "test")})


def test_softmax_and_true_class_probability_against_a_loop():
    logits, labels = np.array([[1.0, 2.0, -1.0], [0.0, 0.0, 0.0]], np.float32), np.array([1, 2])
    for row, label, soft, p in zip(
        logits, labels, softmax(logits), true_class_probability(logits, labels), strict=True
    ):
        expected = [np.exp(z) / sum(np.exp(other) for other in row) for z in row]
        assert soft == pytest.approx(expected)
        assert p == pytest.approx(expected[label])


def test_logit_confidence_is_log_odds_and_stays_finite_where_the_odds_overflow():
    logits, labels = np.random.default_rng(0).normal(0, 3, (50, 5)).astype(np.float32), np.arange(50) % 5
    p = true_class_probability(logits, labels)
    assert logit_confidence(logits, labels) == pytest.approx(np.log(p / (1 - p)))
    huge = np.array([[1000.0, 0.0], [0.0, 1000.0]], np.float32)
    assert logit_confidence(huge, np.array([0, 0])) == pytest.approx([1000.0, -1000.0])


def test_logit_confidence_leaves_the_logits_alone():
    logits = np.ones((2, 3), np.float32)
    logit_confidence(logits, np.array([0, 1]))
    assert np.array_equal(logits, np.ones((2, 3)))


def test_outputs_that_are_not_numbers_are_refused():
    logits = _outputs().logits
    logits["test"] = np.full((2, 3), np.nan, np.float32)
    with pytest.raises(ModelError, match="test set are not all numbers"):
        Outputs(logits)


@pytest.mark.parametrize("bad", [np.zeros((2, 1), np.float32), np.zeros((2, 3)), np.zeros(3, np.float32)])
def test_logits_of_another_form_are_refused(bad):
    with pytest.raises(DataError, match="float32"):
        Outputs({**_outputs().logits, "retain": bad})


def test_a_missing_set_and_labels_of_another_form_are_refused():
    with pytest.raises(DataError, match="no test set"):
        Sets({"forget": np.arange(2), "retain": np.arange(2)})
    with pytest.raises(DataError, match="int64"):
        Sets({name: np.zeros(2, np.int32) for name in ("forget", "retain", "test")})
    with pytest.raises(DataError, match="lack the retain set"):
        Outputs({"forget": np.zeros((2, 2), np.float32)})


def test_outputs_of_other_sets_or_classes_are_refused():
    sets = Sets({name: np.arange(3) for name in ("forget", "retain", "test")})
    check_fit(sets, _outputs(), "tmu")
    with pytest.raises(DataError, match="`tmu` has outputs for 2 forget records, the audit has 3"):
        check_fit(sets, _outputs(n=2), "tmu")
    with pytest.raises(DataError, match="outside the 2 classes"):
        check_fit(sets, _outputs(k=2), "tmu")
