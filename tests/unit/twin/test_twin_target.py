"""The target model: a planted conditional logit is found again, and its probabilities are calibrated."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from tests.synthetic import CLASSES, TWIN, blobs
from tmu.train import logits_of
from tmu.twin.side import Side
from tmu.twin.target import TargetModel, _logits, _neighbour_shares, _terms, fit_targets


class _Fixed:
    """A predictor whose answer is given."""

    def __init__(self, p: torch.Tensor):
        self.p = p

    def p_wrong(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.p


@pytest.fixture(scope="module")
def side(solved) -> Side:
    """A twin side of 600 records with made-up outputs; the curriculum nets are the real ones."""
    generator = torch.Generator().manual_seed(0)
    phi, reference = (normalize(torch.randn(n, 6, generator=generator)) for n in (600, 300))
    reference_labels = torch.randint(0, CLASSES, (300,), generator=generator)
    logits = 2 * torch.randn(600, CLASSES, generator=generator)
    curriculum = solved.twin.curriculum
    return Side(None, blobs(600, seed=3), reference_labels, logits, phi, reference, curriculum, TWIN)


@pytest.fixture(scope="module")
def p_wrong() -> torch.Tensor:
    return torch.rand(600, generator=torch.Generator().manual_seed(1))


def test_a_planted_rule_is_recovered(side, p_wrong):
    planted = TargetModel(torch.tensor([0.6, 0.3, 0.2]), torch.tensor([0.8, -0.5]))
    f, g = _terms(side, p_wrong)
    found = fit_targets(side, p_wrong, _logits(f, g, side.samples.labels, planted.a, planted.b))
    assert found.a.tolist() == pytest.approx(planted.a.tolist(), abs=0.02)
    assert found.b.tolist() == pytest.approx(planted.b.tolist(), abs=0.02)
    assert not found.a.requires_grad


def test_the_formula_against_a_plain_loop(side, p_wrong):
    model = TargetModel(torch.tensor([0.6, 0.3, 0.2]), torch.tensor([0.8, -0.5]))
    q = model.probabilities(side, torch.zeros(600, 3), _Fixed(p_wrong))
    shares, images = _neighbour_shares(side, CLASSES), side.samples.images
    early = [logits_of(net, images).log_softmax(1) for net in side.curriculum]
    for i in range(0, 600, 50):
        scores = []
        for k in range(CLASSES):
            score = 0.6 * float(side.logits[i].log_softmax(0)[k])
            score += 0.3 * sum(float(e[i, k]) for e in early) / len(early)
            score += 0.2 * float(shares[i, k].clamp_min(1e-4).log())
            if k == int(side.samples.labels[i]):
                score += 0.8 - 0.5 * float(p_wrong[i].logit())
            scores.append(score)
        assert q[i].tolist() == pytest.approx(torch.tensor(scores).softmax(0).tolist(), abs=1e-4)


def test_probabilities_sum_to_one_on_both_sides(solved):
    rows = torch.arange(240)
    real = solved.twin.side(solved.original, solved.train.take(rows < 24), solved.train.take(rows >= 24), "cpu")
    features = torch.randn(24, len(TWIN.features))
    q = solved.twin.targets.probabilities(real, features, solved.twin.predictor)
    assert q.shape == (24, CLASSES)
    assert q.sum(1).tolist() == pytest.approx([1.0] * 24, abs=1e-5)
    assert (q > 0).all()


def test_the_mean_true_class_probability_is_the_goals(side, p_wrong):
    """The intercept's score equation; the goal is nothing that the terms could express."""
    goal = 3 * torch.randn(600, CLASSES, generator=torch.Generator().manual_seed(5))
    q = fit_targets(side, p_wrong, goal).probabilities(side, torch.zeros(600, 3), _Fixed(p_wrong))
    labels = side.samples.labels[:, None]
    assert float(q.gather(1, labels).mean()) == pytest.approx(float(goal.softmax(1).gather(1, labels).mean()), abs=2e-3)
    flat = torch.full((600, CLASSES), 1 / CLASSES)
    assert abs(float(flat.gather(1, labels).mean() - goal.softmax(1).gather(1, labels).mean())) < 0.1


def test_a_predictor_that_knows_nothing_gets_no_say(side):
    """Why `p_wrong` must be cross-fitted: the coefficient follows how much it truly tells of the goal."""
    generator = torch.Generator().manual_seed(2)
    goal = side.logits + torch.randn(600, CLASSES, generator=generator)
    wrong = goal.argmax(1) != side.samples.labels
    noise = fit_targets(side, torch.rand(600, generator=generator), goal)
    oracle = fit_targets(side, torch.where(wrong, 0.9, 0.1), goal)
    assert abs(float(noise.b[1])) < 0.1
    assert float(oracle.b[1]) < -0.25


@pytest.mark.parametrize("count", [300, 7])
def test_neighbour_shares_against_a_plain_loop(side, count):
    few = replace(side, phi_reference=side.phi_reference[:count], reference_labels=side.reference_labels[:count])
    shares = _neighbour_shares(few, CLASSES, chunk=128)
    assert shares.sum(1).tolist() == pytest.approx([1.0] * 600, abs=1e-5)
    for i in range(0, 600, 40):
        near = sorted(range(count), key=lambda j: float((side.phi[i] - side.phi_reference[j]).norm()))[:20]
        votes = [sum(int(side.reference_labels[j]) == k for j in near) / len(near) for k in range(CLASSES)]
        assert shares[i].tolist() == pytest.approx(votes, abs=1e-6)
