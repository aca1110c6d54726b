"""Features against slow oracles, and the slips of the published code that must not come back."""

import ast
import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from tests.synthetic import CLASSES, TWIN, blobs
from tmu.errors import ConfigError
from tmu.train import logits_of, predict
from tmu.twin import features
from tmu.twin.features import adversarial, compute_features, curriculum, distance, feature_names
from tmu.twin.side import Side, make_side


@pytest.fixture(scope="module")
def side(solved) -> Side:
    """The real side of 24 forgotten records."""
    rows = torch.arange(240)
    forget, retain = solved.train.take(rows < 24), solved.train.take(rows >= 24)
    return solved.twin.side(solved.original, forget, retain, "cpu")


def test_every_feature_says_what_it_is():
    folder = Path(features.__file__).parent
    assert set(TWIN.features) <= set(feature_names())
    for name in feature_names():
        text = ast.get_docstring(ast.parse((folder / f"{name}.py").read_text()))
        assert all(word in " ".join(text.split()) for word in ("Formula", "Reference", "Cost", "Failure mode")), name


def test_features_are_columns_in_the_configs_order(side):
    columns = compute_features(side)
    assert columns.shape == (24, 3)
    assert columns.dtype == torch.float32
    assert torch.isfinite(columns).all()
    turned = compute_features(replace(side, config=TWIN.model_copy(update={"features": ("curriculum", "distance")})))
    assert torch.equal(turned, columns[:, [2, 0]])


def test_an_unknown_feature_is_refused_by_name(side):
    config = TWIN.model_copy(update={"features": ("guess",)})
    with pytest.raises(ConfigError, match=r"no feature `guess`.*adversarial, curriculum, distance"):
        compute_features(replace(side, config=config))


def test_one_model_serves_samples_and_reference(solved, side):
    """The published code took the reference's features from M_t on both sides."""
    rows = torch.arange(240)
    forget, retain = solved.train.take(rows < 24), solved.train.take(rows >= 24)
    assert side.model is solved.original
    for phi, part in ((side.phi, forget), (side.phi_reference, retain)):
        assert torch.equal(phi, normalize(predict(solved.original, part.images)[1]))
        assert not torch.allclose(phi, normalize(predict(solved.twin.model, part.images)[1]), atol=1e-2)
    assert torch.equal(side.logits, logits_of(solved.original, forget.images))
    assert torch.equal(side.reference_labels, retain.labels)


def _planted(phi, phi_reference, labels, reference_labels, k) -> Side:
    samples = blobs(len(labels))
    config = TWIN.model_copy(update={"neighbours": k})
    return Side(
        None, replace(samples, labels=labels), reference_labels, torch.zeros(len(labels), CLASSES), phi, phi_reference,
        [], config,
    )  # fmt: skip


@pytest.mark.parametrize("k", [1, 5, 99])
def test_distance_against_a_plain_loop(k):
    generator = torch.Generator().manual_seed(0)
    phi, reference = (normalize(torch.randn(n, 6, generator=generator)) for n in (30, 50))
    labels, reference_labels = torch.arange(30) % CLASSES, torch.arange(50) % 2  # class 2 has no reference
    result = distance.compute(_planted(phi, reference, labels, reference_labels, k))
    for i in range(30):
        near = sorted(float((phi[i] - reference[j]).norm()) for j in range(50) if reference_labels[j] == labels[i])
        expected = sum(near[:k]) / len(near[:k]) if near else 2.0
        assert float(result[i]) == pytest.approx(expected, abs=1e-3)


def test_distance_in_pieces_is_the_same():
    phi, reference = normalize(torch.randn(9, 4)), normalize(torch.randn(7, 4))
    whole = distance.nearest(phi, reference, 3)
    assert torch.allclose(distance.nearest(phi, reference, 3, chunk=2), whole, atol=1e-6)


@pytest.mark.parametrize("epsilon", [0.01, 4 / 255, 0.2])
def test_the_attack_keeps_to_its_ball_and_to_valid_pixels(solved, epsilon):
    views, labels = solved.train.images[:40].float() / 255, solved.train.labels[:40]
    model = copy.deepcopy(solved.original)
    model.zero_grad(set_to_none=True)
    attacked = adversarial.attack(model, views, labels, epsilon, 5)
    moved = (attacked - views).abs()
    assert float(moved.max()) == pytest.approx(epsilon, rel=1e-4)
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    assert not attacked.requires_grad
    assert all(value.grad is None for value in model.parameters())


def test_the_attack_raises_the_loss(solved):
    views, labels = solved.train.images[:40].float() / 255, solved.train.labels[:40]
    loss = torch.nn.functional.cross_entropy
    attacked = adversarial.attack(solved.original, views, labels, 0.05, 5)
    with torch.no_grad():
        assert loss(solved.original(attacked), labels) > 2 * loss(solved.original(views), labels)


@pytest.mark.parametrize("epsilon", [0.02, 0.1])
def test_the_configs_epsilon_reaches_the_attack(side, monkeypatch, epsilon):
    """The published code takes an epsilon and ignores it."""
    config = TWIN.model_copy(update={"attack_epsilon": epsilon, "attack_steps": 4})
    seen, real = [], adversarial.attack

    def watch(model, views, labels, *sizes):
        attacked = real(model, views, labels, *sizes)
        seen.append(float((attacked - views).abs().max()))
        return attacked

    monkeypatch.setattr(adversarial, "attack", watch)
    values = adversarial.compute(replace(side, config=config))
    assert seen == [pytest.approx(epsilon, rel=1e-4)]
    assert not torch.allclose(values, adversarial.compute(replace(side, config=TWIN)))


def test_the_adversarial_feature_is_a_divergence_of_probabilities(side, solved):
    """The published code weighs by raw logits, which is no divergence and may be negative."""
    values = adversarial.compute(side, batch_size=10)
    views, labels = side.samples.images.float() / 255, side.samples.labels
    attacked = adversarial.attack(solved.original, views, labels, TWIN.attack_epsilon, TWIN.attack_steps)
    clean, moved = side.logits.double().softmax(1), solved.original(attacked).detach().double().softmax(1)
    for i in range(len(labels)):
        slow = sum(float(clean[i, k] * (clean[i, k] / moved[i, k]).log()) for k in range(CLASSES))
        assert float(values[i].exp()) == pytest.approx(max(slow, 1e-9), rel=0.02, abs=1e-6)


def test_the_curriculum_feature_is_the_log_mean_loss(side, solved):
    values, labels = curriculum.compute(side), side.samples.labels
    assert len(side.curriculum) == TWIN.curriculum_nets == 2
    for i in range(len(labels)):
        losses = [
            -float(logits_of(net, side.samples.images[i : i + 1])[0].log_softmax(0)[labels[i]])
            for net in side.curriculum
        ]
        assert float(values[i].exp()) == pytest.approx(sum(losses) / 2, rel=1e-3, abs=1e-5)


def test_a_side_is_made_of_what_it_is_given(solved):
    forget, retain = blobs(6, seed=5), blobs(9, seed=6)
    made = make_side(solved.original, forget, retain, [], TWIN)
    assert made.samples is forget
    assert made.phi.norm(dim=1).tolist() == pytest.approx([1.0] * 6)
    assert made.phi_reference.shape[0] == 9
