"""The conditional logit: planted coefficients come back, classes share them, and what is lost moves the margins."""

import math

import pytest
import torch

from tmu.twin.margins import margin_of
from tmu.twin.target import fit_logit, logit_answers, moved_by_loss

N, K, J = 2000, 4, 3


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def planted():
    """(terms, labels, a, b, the probabilities that they give)"""
    f, labels = 2 * _normal(0, N, K, J), torch.arange(N) % K
    a, b = torch.tensor([0.5, 0.0, 0.8]), torch.tensor([-0.7])
    return f, labels, a, b, logit_answers(f, labels, a, b)


def test_answers_against_the_formula(planted):
    f, labels, a, b, q = planted
    for i in range(0, N, 97):
        raw = [
            math.exp(sum(float(a[j] * f[i, k, j]) for j in range(J)) + (k == labels[i]) * float(b)) for k in range(K)
        ]
        assert q[i].tolist() == pytest.approx([value / sum(raw) for value in raw], rel=1e-4)


def test_planted_coefficients_come_back(planted):
    f, labels, a, b, q = planted
    found_a, found_b = fit_logit(f, labels, q)
    assert torch.allclose(found_a, a, atol=0.01)
    assert torch.allclose(found_b, b, atol=0.02)
    assert not found_a.requires_grad


def test_they_come_back_from_outcomes_too(planted):
    """Goals that are wholly sure, drawn by the planted probabilities."""
    f, labels, a, b, q = planted
    drawn = torch.multinomial(q, 1, generator=torch.Generator().manual_seed(3))
    found_a, found_b = fit_logit(f, labels, torch.nn.functional.one_hot(drawn[:, 0], K).float())
    assert torch.allclose(found_a, a, atol=0.08)
    assert torch.allclose(found_b, b, atol=0.25)


def test_the_mean_true_class_probability_is_the_goals(planted):
    """The intercept's score equation; the goal is nothing that the terms could express."""
    f, labels, *_ = planted
    goal = (3 * _normal(5, N, K)).softmax(1)
    q = logit_answers(f, labels, *fit_logit(f, labels, goal))
    assert float(q.gather(1, labels[:, None]).mean()) == pytest.approx(
        float(goal.gather(1, labels[:, None]).mean()), abs=2e-3
    )


def test_a_term_that_knows_nothing_gets_no_say(planted):
    f, labels, _, _, q = planted
    noise = torch.stack([f[:, :, 0], f[:, :, 2], _normal(9, N, K)], 2)
    assert abs(float(fit_logit(noise, labels, q)[0][2])) < 0.05


def test_fitting_leaves_the_generator_alone(planted):
    f, labels, _, _, q = planted
    before = torch.get_rng_state()
    fit_logit(f[:100], labels[:100], q[:100])
    assert torch.equal(torch.get_rng_state(), before)


def _lost(first: float, others: float) -> torch.Tensor:
    """Shares lost of the first class and of each other one, and of all (classes of equal size)."""
    return torch.tensor([first] + [others] * (K - 1) + [(first + (K - 1) * others) / K])


def test_a_class_that_loses_more_than_the_rest_is_predicted_less():
    margins, labels = _normal(1, N), torch.arange(N) % K
    moved = moved_by_loss(margins, labels, _lost(0.4, 0.1)) - margins
    whole = (0.4 + 3 * 0.1) / 4
    assert moved[labels == 0].tolist() == pytest.approx([math.log(0.6 / (1 - whole))] * (N // K), abs=1e-5)
    assert moved[labels != 0].tolist() == pytest.approx([math.log(0.9 / (1 - whole))] * (3 * N // K), abs=1e-5)


def test_a_uniform_loss_moves_no_class_against_another():
    margins, labels = _normal(1, N), torch.arange(N) % K
    assert torch.allclose(moved_by_loss(margins, labels, torch.full((K + 1,), 0.3)), margins, atol=1e-6)


def test_a_class_of_which_nothing_is_left_is_not_predicted_however_sure_one_was():
    labels = torch.zeros(2, dtype=torch.int64)
    margins = margin_of(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), labels)
    assert float(torch.sigmoid(moved_by_loss(margins, labels, torch.tensor([1.0, 0.0, 0.5]))).max()) < 1e-5
