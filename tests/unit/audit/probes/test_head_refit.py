"""A fresh head shows what the body knows, whatever the last layer says, and never learns from forget records."""

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tests.synthetic import CLASSES, MEMORISE, RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.audit.probes.head_refit import head_refit
from tmu.errors import DataError
from tmu.models.registry import head_of
from tmu.train import fit, logits_of
from tmu.train.fresh_head import SCALE, fit_head, some
from tmu.train.predict import predict

RETAIN, FORGET = blobs(160, seed=1), blobs(40, seed=2, label_noise=0.6)


def _trained(*parts):
    model = tiny_net(3)
    images, labels, keys = (torch.cat([getattr(p, name) for p in parts]) for name in ("images", "labels", "keys"))
    fit(model, type(RETAIN)(images, labels, keys), MEMORISE, SEEDS)
    return model


@pytest.fixture(scope="module")
def original():
    return _trained(RETAIN, FORGET)


@pytest.fixture(scope="module")
def gold():
    return _trained(RETAIN)


def _refit(model, **options):
    return head_refit(model, FORGET, RETAIN, **{"records": 1000, "seed": 0} | options)


def _confidence(logits):
    return float(logits.softmax(1).gather(1, FORGET.labels[:, None]).mean())


def test_the_fit_against_scikit_learn():
    """Scikit-learn leaves the bias unpenalised, so it is given to it as a feature."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(0, 3, (200, 5)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, 3, 200))
    head = fit_head(features, labels, 3)
    inputs = torch.cat([features.double() / head.scale, torch.ones(200, 1)], dim=1)
    other = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-8, max_iter=2000).fit(inputs, labels)
    ours = (inputs @ head.weights).softmax(1).numpy()
    assert ours == pytest.approx(other.predict_proba(inputs), abs=1e-4)
    assert float((features.double() / head.scale).norm(dim=1).mean()) == pytest.approx(SCALE)


def test_a_class_without_retain_records_keeps_finite_logits():
    rng = torch.Generator().manual_seed(0)
    head = fit_head(torch.randn(100, 4, generator=rng), torch.arange(100) % 2, 3)
    assert head.weights.abs().max() < 20 and (head.weights[:, 2] < head.weights[:, :2].max()).any()


def test_the_body_that_saw_the_records_is_surer_of_them(original, gold):
    assert _confidence(_refit(original)) > _confidence(_refit(gold)) + 0.2


def test_another_last_layer_changes_nothing(original):
    other = copy.deepcopy(original)
    with torch.no_grad():
        head_of(other).weight.normal_(generator=torch.Generator().manual_seed(0))
        head_of(other).bias.fill_(3.0)
    assert not torch.equal(logits_of(other, FORGET.images), logits_of(original, FORGET.images))
    assert torch.equal(_refit(other), _refit(original))


def test_labels_and_number_of_forget_records_never_enter_the_fit(original):
    logits = _refit(original)
    turned = FORGET.take(torch.arange(39, -1, -1))
    turned.labels.zero_()
    again = head_refit(original, turned, RETAIN, records=1000, seed=0)
    assert torch.allclose(again.flip(0), logits, atol=1e-4)


def test_it_leaves_the_model_as_it_was_and_gives_the_same_again(original):
    before = weights_of(original)
    assert torch.equal(_refit(original), _refit(original))
    assert same_weights(weights_of(original), before)
    assert _refit(original).shape == (40, CLASSES) and _refit(original).dtype == torch.float32


def test_the_fitted_records_follow_key_and_seed_not_position():
    chosen = some(RETAIN, 30, 0, "head refit")
    turned = some(RETAIN.take(torch.arange(159, -1, -1)), 30, 0, "head refit")
    assert set(chosen.keys.tolist()) == set(turned.keys.tolist()) and len(chosen) == 30
    assert set(some(RETAIN, 30, 1, "head refit").keys.tolist()) != set(chosen.keys.tolist())
    assert len(some(RETAIN, 1000, 0, "head refit")) == 160


def test_fewer_records_are_fitted_where_asked(original):
    few = some(RETAIN, 30, 0, "head refit")
    assert torch.equal(_refit(original, records=30), head_refit(original, FORGET, few, records=99, seed=0))
    assert not torch.equal(_refit(original, records=30), _refit(original))


def test_a_single_class_model_of_features_needs_both_sets():
    model = tiny_net(1)
    fit(model, RETAIN, RECIPE, SEEDS)
    assert predict(model, RETAIN.images)[1].shape[1] == head_of(model).in_features
    for forget, retain in ((FORGET, RETAIN.take(torch.arange(0))), (FORGET.take(torch.arange(0)), RETAIN)):
        with pytest.raises(DataError, match="no kept or no forgotten record"):
            head_refit(model, forget, retain, records=10, seed=0)
