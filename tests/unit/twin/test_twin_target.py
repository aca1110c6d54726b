"""The target model: a planted conditional logit is found again, its goal is no mere copy, and classes move."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.synthetic import CLASSES, TWIN, blobs
from tmu.train import logits_of
from tmu.twin.cross_fit import FLOOR
from tmu.twin.margins import margin_of, with_margin
from tmu.twin.side import Side
from tmu.twin.target import TERMS, TargetModel, _logits, _neighbour_shares, fit_targets, moved_by_loss, terms_of

N = 600
A, B = torch.tensor([0.5, 0.4, 0.3, 0.2]), torch.tensor([0.8])


def _random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _fit(f: Tensor, labels: Tensor, original: Tensor, other: Tensor | None) -> TargetModel:
    return fit_targets(f, labels, original, other, (f, labels))


@pytest.fixture(scope="module")
def side(solved) -> Side:
    """A twin side of 600 records with made-up outputs; the curriculum nets are the real ones."""
    phi, reference = (normalize(_random(n, n, 6)) for n in (N, 300))
    reference_labels = torch.randint(0, CLASSES, (300,), generator=torch.Generator().manual_seed(0))
    logits, unseen = 2 * _random(1, N, CLASSES), (2 * _random(2, N, CLASSES)).log_softmax(1)
    given = (reference_labels, logits, phi, reference, solved.twin.curriculum, TWIN)
    return Side(None, blobs(N, seed=3), *given, unseen=unseen)


@pytest.fixture(scope="module")
def planted(side) -> Tensor:
    """Logits (N, K) of a gold that follows the rule A, B."""
    return _logits(terms_of(side), side.samples.labels, A, B)


def test_a_planted_rule_is_recovered(side, planted):
    found = _fit(terms_of(side), side.samples.labels, planted, planted.log_softmax(1))
    assert found.a.tolist() == pytest.approx(A.tolist(), abs=0.02)
    assert found.b.tolist() == pytest.approx(B.tolist(), abs=0.02)
    assert not found.a.requires_grad


def test_the_formula_against_a_plain_loop(side):
    lost = torch.tensor([0.4, 0.1, 0.0, 0.2])
    model, labels, images = TargetModel(A, B, None), side.samples.labels, side.samples.images
    raw = model.raw(terms_of(side), labels)
    q = with_margin(raw, labels, moved_by_loss(margin_of(raw, labels), labels, lost))
    shares = _neighbour_shares(side, CLASSES)
    early = [logits_of(net, images).log_softmax(1) for net in side.curriculum]
    for i in range(0, N, 50):
        scores, y = [], int(labels[i])
        for k in range(CLASSES):
            score = 0.5 * float(side.unseen[i, k]) + 0.4 * float(side.logits[i].log_softmax(0)[k])
            score += 0.3 * sum(float(e[i, k]) for e in early) / len(early)
            score += 0.2 * float(shares[i, k].clamp_min(1e-4).log())
            scores.append(score + (0.8 if k == y else 0))
        slow = torch.tensor(scores).softmax(0)
        assert raw[i].tolist() == pytest.approx(slow.tolist(), abs=1e-4)
        odds = float(slow[y] / (1 - slow[y])) * (1 - float(lost[y])) / (1 - 0.2)
        expected = slow * (1 - odds / (1 + odds)) / (1 - slow[y])
        expected[y] = odds / (1 + odds)
        assert q[i].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_terms_are_log_probabilities_with_a_floor(side):
    sure = replace(side, logits=100 * side.logits)
    f = terms_of(sure)
    assert f.shape == (N, CLASSES, len(TERMS))
    assert float(f[:, :, TERMS.index("seen")].min()) == FLOOR
    assert (f <= 0).all()
    assert torch.equal(f[:, :, TERMS.index("unseen")], side.unseen)


def test_probabilities_sum_to_one_on_both_sides(solved):
    rows = torch.arange(240)
    real = solved.twin.side(solved.original, solved.train.take(rows < 24), solved.train.take(rows >= 24), "cpu")
    q = solved.twin.targets.probabilities(real)
    assert q.shape == (24, CLASSES)
    assert q.sum(1).tolist() == pytest.approx([1.0] * 24, abs=1e-5)
    assert (q > 0).all()


def test_the_mean_true_class_probability_is_the_goals(side):
    """The intercept's score equation; the goal is nothing that the terms could express."""
    goal, f, labels = 3 * _random(5, N, CLASSES), terms_of(side), side.samples.labels
    q = _fit(f, labels, goal, None).raw(f, labels)
    of_goal = float(goal.softmax(1).gather(1, labels[:, None]).mean())
    assert float(q.gather(1, labels[:, None]).mean()) == pytest.approx(of_goal, abs=2e-3)
    shifted = _fit(f, labels, goal + 2 * torch.eye(CLASSES)[labels], None).raw(f, labels)
    assert float(shifted.gather(1, labels[:, None]).mean()) > of_goal + 0.1


def test_the_goal_is_the_mean_of_the_originals_and_the_other_halfs_outputs(side):
    f, labels = terms_of(side), side.samples.labels
    original, other = 2 * _random(5, N, CLASSES), (2 * _random(6, N, CLASSES)).log_softmax(1)
    mean = ((original.softmax(1) + other.exp()) / 2).log()
    found, told = _fit(f, labels, original, other), _fit(f, labels, mean, mean)
    assert torch.allclose(found.a, told.a, atol=1e-4)
    assert torch.allclose(found.b, told.b, atol=1e-4)
    assert not torch.allclose(found.b, _fit(f, labels, original, original.log_softmax(1)).b, atol=0.01)


def test_the_other_half_keeps_the_twin_models_descent_from_leaking(side):
    """M_t was tuned from M_o, so it shares M_o's whims; a gold of the real problem shares them with no one."""
    labels = blobs(4000, seed=8).labels
    truth = 1.5 * _random(0, 4000, CLASSES) + 1.5 * torch.eye(CLASSES)[labels]
    original, half, other, gold = (truth + 1.2 * _random(seed, 4000, CLASSES) for seed in (1, 2, 3, 4))
    seen = original + 4 * torch.eye(CLASSES)[labels]
    flat = torch.zeros_like(truth)
    f = torch.stack([half.log_softmax(1), seen.log_softmax(1), flat, flat], 2)
    alone = _fit(f, labels, original, original.log_softmax(1))
    both = _fit(f, labels, original, other.log_softmax(1))
    assert float(both.a[1]) < float(alone.a[1]) - 0.1  # trusts the seen model less ...
    assert float(both.a[0]) > float(alone.a[0]) + 0.1  # ... and the unseen half more
    losses = [-(gold.softmax(1) * model.raw(f, labels).log()).sum(1).mean() for model in (both, alone)]
    assert losses[0] < losses[1] - 0.02


def test_a_term_that_knows_nothing_gets_no_say(side):
    """The coefficient follows how much a term truly tells of the goal."""
    labels = side.samples.labels
    goal = side.logits + _random(11, N, CLASSES)
    noise, oracle = terms_of(side), terms_of(side)
    oracle[:, :, 0] = goal.log_softmax(1)
    assert abs(float(_fit(noise, labels, goal, goal.log_softmax(1)).a[0])) < 0.1
    assert float(_fit(oracle, labels, goal, goal.log_softmax(1)).a[0]) > 0.8


def test_margins_are_calibrated_on_the_given_records_and_not_on_the_fitted_ones(side):
    f, labels = terms_of(side), side.samples.labels
    original = side.logits + _random(5, N, CLASSES)
    other = (side.logits / 2 + _random(6, N, CLASSES)).log_softmax(1)
    elsewhere, of_elsewhere = f[: N // 2] + 2 * torch.eye(CLASSES)[labels[: N // 2], :, None], labels[: N // 2]
    found = fit_targets(f, labels, original, other, (elsewhere, of_elsewhere))
    for lost, goal in ((0.0, original.softmax(1)), (0.5, other.exp())):
        aim = float(torch.sigmoid(margin_of(goal, labels)).mean())
        reached = []
        for terms, classes in ((elsewhere, of_elsewhere), (f, labels)):
            margins = margin_of(found.raw(terms, classes), classes)
            reached.append(float(torch.sigmoid(found.margins.mean(margins, lost)).mean()))
        assert reached[0] == pytest.approx(aim, abs=2e-3)
        assert abs(reached[1] - aim) > 0.01


@pytest.fixture(scope="module")
def model(side, planted) -> TargetModel:
    """A fitted model whose cross-fit models are less sure than the original."""
    return _fit(terms_of(side), side.samples.labels, planted, (planted / 2).log_softmax(1))


def _lost(first: float, others: float) -> Tensor:
    """Shares lost of the first class and of each other one, and of all (classes of equal size)."""
    return torch.tensor([first] + [others] * (CLASSES - 1) + [(first + (CLASSES - 1) * others) / CLASSES])


def test_a_class_that_loses_more_than_the_rest_is_predicted_less(side, model):
    labels, first = side.samples.labels, side.samples.labels == 0
    lost = _lost(0.4, 0.1)
    even = torch.full((CLASSES + 1,), float(lost[-1]))
    uneven, level = (model.probabilities(side, lost=given) for given in (lost, even))
    of_true, as_before = (q.gather(1, labels[:, None])[:, 0] for q in (uneven, level))
    assert (of_true[first] < as_before[first]).all()
    assert (of_true[~first] > as_before[~first]).all()
    moved = margin_of(uneven, labels) - margin_of(level, labels)
    assert moved[first].mean().item() == pytest.approx(math.log(0.6 / 0.8), abs=1e-2)
    assert moved[~first].mean().item() == pytest.approx(math.log(0.9 / 0.8), abs=1e-2)


def test_a_uniform_loss_moves_no_class_against_another(side, planted, model):
    labels, even = side.samples.labels, torch.full((CLASSES + 1,), 0.3)
    alone = _fit(terms_of(side), labels, planted, None)  # without cross-fit models nothing is known of smaller sets
    assert torch.allclose(alone.probabilities(side, lost=even), alone.probabilities(side), atol=1e-5)
    # with cross-fit models the margins move by the map alone
    q = model.raw(terms_of(side), labels)
    unseen = margin_of(side.unseen.exp(), labels)
    mapped = model.margins.apply(margin_of(q, labels), 0.3, unseen)
    reached = margin_of(model.probabilities(side, lost=even), labels)
    assert torch.allclose(reached, mapped, atol=1e-2)
    fewer, whole = (model.margins.apply(margin_of(q, labels), lost).mean() for lost in (0.3, 0.0))
    assert float(fewer) < float(whole) - 0.05


def test_a_class_of_which_nothing_is_left_is_not_predicted(side, model):
    labels, first = side.samples.labels, side.samples.labels == 0
    sure = replace(side, logits=side.logits + 30 * torch.eye(CLASSES)[labels])  # margins near the largest there are
    for given in (side, sure):
        before, after = model.probabilities(given), model.probabilities(given, lost=_lost(1.0, 0.0))
        assert float(after[first, 0].max()) < 1e-5
        assert torch.allclose(after[first, 1] / after[first, 2], before[first, 1] / before[first, 2], rtol=1e-2)
        assert after.sum(1).tolist() == pytest.approx([1.0] * N, abs=1e-5)
        assert (after[~first].gather(1, labels[~first, None]) > 0.01).any()


def test_a_side_without_cross_fit_models_works_by_the_other_terms(side, planted):
    bare, labels = replace(side, unseen=None), side.samples.labels
    f = terms_of(bare)
    assert (f[:, :, TERMS.index("unseen")] == 0).all()
    found = _fit(f, labels, planted, None)
    assert float(found.a[0]) == 0
    assert (found.a[1:] != 0).all()
    q = found.probabilities(bare, lost=_lost(0.2, 0.1))
    assert q.sum(1).tolist() == pytest.approx([1.0] * N, abs=1e-5)
    assert torch.equal(found.probabilities(side), found.probabilities(bare))  # what it never learnt it does not use


@pytest.mark.parametrize("count", [300, 7])
def test_neighbour_shares_against_a_plain_loop(side, count):
    few = replace(side, phi_reference=side.phi_reference[:count], reference_labels=side.reference_labels[:count])
    shares = _neighbour_shares(few, CLASSES, chunk=128)
    assert shares.sum(1).tolist() == pytest.approx([1.0] * N, abs=1e-5)
    for i in range(0, N, 40):
        near = sorted(range(count), key=lambda j: float((side.phi[i] - side.phi_reference[j]).norm()))[:20]
        votes = [sum(int(side.reference_labels[j]) == k for j in near) / len(near) for k in range(CLASSES)]
        assert shares[i].tolist() == pytest.approx(votes, abs=1e-6)
