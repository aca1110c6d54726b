"""The predictor: finds what is there, does not find what is not, and carries one scaling to both sides."""

import dataclasses

import pytest
import torch
from safetensors.torch import load, save
from sklearn.metrics import roc_auc_score

from tmu.config import TwinConfig
from tmu.errors import GateError
from tmu.twin.predictor import Predictor, class_errors, fit_predictor

CONFIG = TwinConfig()
N = 400


def _features(seed: int = 0, n: int = N) -> tuple[torch.Tensor, torch.Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=generator), torch.randint(0, 3, (n,), generator=generator), generator


def _planted(seed: int = 0, n: int = N) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, classes, outcomes, and the true chance of each: log-odds 2·f0 - f1 - 2."""
    features, labels, generator = _features(seed, n)
    chance = torch.sigmoid(2 * features[:, 0] - features[:, 1] - 2)
    return features, labels, torch.rand(n, generator=generator) < chance, chance


@pytest.fixture(scope="module")
def fitted() -> tuple[Predictor, torch.Tensor]:
    features, labels, wrong, _ = _planted()
    return fit_predictor(features, labels, wrong, 3, CONFIG, 0)


def test_a_planted_rule_is_recovered_on_new_records(fitted):
    features, labels, wrong, chance = _planted(seed=1, n=2000)
    p = fitted[0].p_wrong(features, labels)
    assert roc_auc_score(wrong, p) > 0.8
    assert roc_auc_score(wrong, chance) > roc_auc_score(wrong, p)  # not better than the truth


def test_probabilities_are_calibrated_on_new_records(fitted):
    """Class weights shift the raw scores; Platt's step takes that back."""
    features, labels, wrong, _ = _planted(seed=1, n=4000)
    p = fitted[0].p_wrong(features, labels)
    assert abs(float(p.mean()) - float(wrong.float().mean())) < 0.04
    for part in p.argsort().chunk(4):
        assert abs(float(p[part].mean()) - float(wrong[part].float().mean())) < 0.1
    assert float(torch.sigmoid(fitted[0].score(features, labels)).mean()) > float(wrong.float().mean()) + 0.05


def test_quality_on_noise_is_that_of_a_coin():
    crossed, own = [], []
    for seed in range(3):
        features, labels, generator = _features(seed)
        wrong = torch.rand(N, generator=generator) < 0.15
        predictor, held_out = fit_predictor(features, labels, wrong, 3, CONFIG, seed)
        crossed.append(roc_auc_score(wrong, held_out))
        own.append(roc_auc_score(wrong, predictor.p_wrong(features, labels)))
    assert 0.4 < sum(crossed) / 3 < 0.57
    assert sum(own) / 3 > 0.65  # what a predictor says of its own training records would have flattered it


@pytest.mark.parametrize(("n_wrong", "of"), [(0, 50), (1, 50), (49, 50), (50, 50)])
def test_too_few_of_one_kind_are_refused_with_numbers(n_wrong, of):
    features, labels, _ = _features(n=of)
    with pytest.raises(GateError, match=f"gets {n_wrong} of {of} hold-out records wrong.*retrain"):
        fit_predictor(features, labels, torch.arange(of) < n_wrong, 3, CONFIG, 0)


def test_two_of_one_kind_are_enough_to_go_on():
    features, labels, _ = _features(n=50)
    _, held_out = fit_predictor(features, labels, torch.arange(50) < 2, 3, CONFIG, 0)
    assert torch.isfinite(held_out).all()


def test_the_scaling_is_the_twin_sides_whatever_the_forget_set_looks_like(fitted):
    """The published code scales each side by itself: a record's score then depends on its companions."""
    predictor, _ = fitted
    features, labels, _ = _features(seed=2)
    bounds = predictor.low.clone(), predictor.high.clone()
    alone = predictor.p_wrong(features[:1], labels[:1])
    among = predictor.p_wrong(torch.cat([features[:1], 100 * features[1:] - 7]), labels)
    assert float(alone[0]) == pytest.approx(float(among[0]), abs=1e-6)
    assert torch.equal(predictor.low, bounds[0])
    assert torch.equal(predictor.high, bounds[1])
    moved = predictor.p_wrong(3 * features + 1, labels)
    assert not torch.allclose(moved, predictor.p_wrong(features, labels), atol=0.05)  # a shift is seen, not scaled away


def test_bounds_are_tukeys_fences_and_clip(fitted):
    features = _planted()[0]
    first, third = features.quantile(0.25, dim=0), features.quantile(0.75, dim=0)
    assert torch.allclose(fitted[0].low, first - 1.5 * (third - first))
    assert torch.allclose(fitted[0].high, third + 1.5 * (third - first))
    far = torch.full((1, 3), 1e6)
    label = torch.zeros(1, dtype=torch.int64)
    assert torch.equal(fitted[0].score(far, label), fitted[0].score(2 * far, label))


def test_the_class_is_a_covariate():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (N,), generator=generator)
    wrong = torch.rand(N, generator=generator) < torch.where(labels == 1, 0.6, 0.05)
    predictor, held_out = fit_predictor(torch.randn(N, 3, generator=generator), labels, wrong, 2, CONFIG, 0)
    assert roc_auc_score(wrong, held_out) > 0.7
    same = torch.zeros(2, 3)
    p = predictor.p_wrong(same, torch.tensor([0, 1]))
    assert p[1] > p[0] + 0.2


def test_class_errors_are_steadied_by_the_overall_error():
    labels = torch.tensor([0] * 30 + [1] * 10)
    wrong = torch.tensor([True] * 3 + [False] * 27 + [True] * 5 + [False] * 5)
    errors = class_errors(labels, wrong, 3)
    expected = [(3 + 10 * 0.2) / 40, (5 + 10 * 0.2) / 20, 0.2]  # the third class has no record
    assert errors.tolist() == pytest.approx(expected)


def test_state_survives_safetensors_bit_by_bit(fitted):
    predictor, _ = fitted
    again = Predictor.from_state(load(save({name: value.contiguous() for name, value in predictor.state().items()})))
    features, labels, _ = _features(seed=3)
    assert torch.equal(again.p_wrong(features, labels), predictor.p_wrong(features, labels))
    assert {field.name for field in dataclasses.fields(Predictor)} == {"low", "high", "class_error", "weights", "platt"}
    assert torch.equal(again.class_error, predictor.class_error)


def test_fitting_repeats_and_leaves_the_generator_alone(fitted):
    features, labels, wrong, _ = _planted()
    before = torch.random.get_rng_state()
    again, held_out = fit_predictor(features, labels, wrong, 3, CONFIG, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(held_out, fitted[1])
    assert all(torch.equal(value, fitted[0].state()[name]) for name, value in again.state().items())
    assert not torch.equal(fit_predictor(features, labels, wrong, 3, CONFIG, 1)[1], held_out)


def test_an_anti_predictive_score_is_not_turned_round():
    from tmu.twin.predictor import platt_scaling

    wrong = torch.arange(40) < 10
    slope, _ = platt_scaling(torch.where(wrong, -1.0, 1.0), wrong).tolist()
    assert slope > 0
