"""The map of the margins: what it undoes, what it never does, and between which two distributions it moves."""

import math

import numpy as np
import pytest
import torch

from tmu.twin.margins import MarginMap, fit_margins, margin_of, mean_shift, with_margin

N = 3000
WAYS = ("mean", "quantile", "apply")
INNER = (0.01, 0.99)  # quantiles between which a map of 400 steps is exact to a few hundredths


def _margins(seed: int, mean: float, spread: float, n: int = N) -> torch.Tensor:
    return mean + spread * torch.randn(n, generator=torch.Generator().manual_seed(seed))


def _inner(values: torch.Tensor) -> torch.Tensor:
    low, high = (values.quantile(level) for level in INNER)
    return (values >= low) & (values <= high)


@pytest.fixture(scope="module")
def fitted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, MarginMap]:
    """(predicted, the original's, the cross-fit models', map); regression has shrunk the predicted ones."""
    predicted, original, cross_fit = _margins(1, 1.5, 1.5), _margins(2, 3.0, 3.0), _margins(3, 1.0, 2.0)
    return predicted, original, cross_fit, fit_margins(predicted, original, cross_fit)


@pytest.mark.parametrize(
    "distort",
    [lambda m: 0.4 * m - 1, lambda m: 4 * torch.tanh(m / 4), lambda m: m + m**3 / 20, lambda m: torch.exp(m / 3)],
    ids=["shrunk", "flattened", "steepened", "skewed"],
)
def test_a_planted_monotone_distortion_is_undone(distort):
    truth = _margins(0, 1.0, 2.0)
    predicted = distort(truth)
    found = fit_margins(predicted, truth[torch.randperm(N, generator=torch.Generator().manual_seed(1))], None)
    part = _inner(truth)
    assert torch.allclose(found.quantile(predicted, 0.0)[part], truth[part], atol=0.06)
    assert float((found.mean(predicted, 0.0) - truth)[part].abs().max()) > 0.3  # a shift cannot


def test_the_order_of_records_is_kept(fitted):
    predicted, _, _, found = fitted
    for way in WAYS:
        mapped = getattr(found, way)(predicted.sort().values, 0.2)
        assert (mapped.diff() >= -1e-5).all()


def test_the_mean_probability_is_the_goals(fitted):
    predicted, original, cross_fit, found = fitted
    for lost, goal in ((0.0, original), (0.5, cross_fit)):
        reached = torch.sigmoid(found.mean(predicted, lost)).mean()
        assert float(reached) == pytest.approx(float(torch.sigmoid(goal).mean()), abs=1e-3)
        assert abs(float(torch.sigmoid(predicted).mean() - reached)) > 0.02


@pytest.mark.parametrize("lost", [0.0, 0.1, 0.5])
def test_the_envelope_is_the_lower_of_the_two(fitted, lost):
    predicted, _, _, found = fitted
    mean, quantile, envelope = (getattr(found, way)(predicted, lost) for way in WAYS)
    assert (envelope <= quantile).all()
    part = _inner(predicted)  # beyond it, and within a step of the map, the two differ a little
    assert torch.allclose(envelope[part], torch.minimum(mean, quantile)[part], atol=0.05)
    assert 0 < int((mean < quantile).sum()) < N  # both have their say: the clear ones are held back, the hard ones fall
    assert float(mean[mean < quantile].min()) > float(quantile[quantile < mean].min())


def test_nothing_lost_gives_the_originals_distribution_and_half_lost_the_cross_fit_models(fitted):
    predicted, original, cross_fit, found = fitted
    levels = torch.linspace(*INNER, 50)
    for lost, goal in ((0.0, original), (0.5, cross_fit), (0.9, cross_fit)):
        mapped = found.quantile(predicted, lost)
        assert torch.allclose(mapped.quantile(levels), goal.quantile(levels), atol=0.1), lost
    assert not torch.allclose(original.quantile(levels), cross_fit.quantile(levels), atol=0.5)


def test_between_them_it_is_linear_in_the_logarithm_of_the_share_kept(fitted):
    predicted, _, _, found = fitted
    for way in WAYS[:2]:
        none, half = (getattr(found, way)(predicted, lost) for lost in (0.0, 0.5))
        for lost in (0.05, 0.1, 0.3):
            at = -math.log2(1 - lost)
            assert torch.allclose(getattr(found, way)(predicted, lost), none + at * (half - none), atol=1e-4)
    a_tenth = found.mean(predicted, 0.1) - found.mean(predicted, 0.0)
    assert a_tenth.mean() < -0.01  # a gold of fewer records is less sure here


@pytest.mark.parametrize("harder", [-2.0, 0.0, 2.0])
def test_a_set_unlike_the_hold_out_is_told_by_the_unseen_cross_fit_models(fitted, harder):
    *_, found = fitted
    predicted = _margins(4, 1.5, 1.5)  # what is seen of the set does not tell that it is harder
    unseen = _margins(5, 1.0, 2.0) + harder
    alone, told = (found.quantile(predicted, 0.0, of) for of in (None, unseen))
    # a half's margin m stands at a gold's 3 + 1.5 (m - 1): both are normal here
    expected = 3.0 + 1.5 * harder
    assert float(alone.median()) == pytest.approx(3.0, abs=0.2)
    assert float(told.median()) == pytest.approx(expected, abs=0.4)
    assert torch.equal(told.argsort(), alone.argsort())  # ranks stay the predicted ones
    shifted = predicted + mean_shift(predicted, float(torch.sigmoid(told).mean()))
    assert float(torch.sigmoid(shifted).mean()) == pytest.approx(float(torch.sigmoid(told).mean()), abs=1e-3)
    # what random records of a margin are held back by is what these are
    envelope, of_random = found.apply(predicted, 0.0, unseen), found.apply(predicted, 0.0)
    back, of_random = told - envelope, alone - of_random
    assert 0 == float(back.min()) < float(back.max())
    levels = torch.linspace(0, 5, 20)
    curves = [np.interp(levels, *map(np.sort, pair)) for pair in ((told, back), (alone, of_random))]
    assert np.abs(curves[0] - curves[1]).max() < 0.1


def test_few_records_say_little_of_their_own_distribution(fitted):
    _, _, _, found = fitted
    predicted = _margins(4, 1.5, 1.5)
    moved = []
    for n in (10, 200, N):
        part = predicted[:n]
        alone = found.quantile(part, 0.0)
        moved.append(float((found.quantile(part, 0.0, part - 3.0) - alone).mean()))
    assert 0 > moved[0] > moved[1] / 5 > moved[2] / 5
    assert moved[2] < -2


def test_without_cross_fit_models_the_share_lost_moves_nothing(fitted):
    predicted, original, _, _ = fitted
    alone = fit_margins(predicted, original, None)
    for way in WAYS:
        assert torch.equal(getattr(alone, way)(predicted, 0.0), getattr(alone, way)(predicted, 0.5))


def test_margins_beyond_all_that_was_seen_stay_within_the_golds(fitted):
    _, original, _, found = fitted
    mapped = found.quantile(torch.tensor([-50.0, 50.0]), 0.0)
    assert original.min() <= mapped[0] < original.quantile(0.01)
    assert original.quantile(0.99) < mapped[1] <= original.max()


@pytest.mark.parametrize("sure", [13.8, -13.8])
def test_the_shift_reaches_its_goal_however_far_off_the_predictions_are(sure):
    original = _margins(0, 0.0, 2.0)
    found = fit_margins(torch.full((200,), sure), original, None)
    reached = torch.sigmoid(found.mean(torch.full((1,), sure), 0.0))
    assert float(reached) == pytest.approx(float(torch.sigmoid(original).mean()), abs=1e-3)


def test_a_margin_is_the_log_odds_of_the_true_class():
    p = torch.tensor([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    margins = margin_of(p, torch.tensor([1, 0, 0, 0]))
    assert margins[:2].tolist() == pytest.approx([math.log(4), 0.0], abs=1e-5)
    assert margins[2:].tolist() == pytest.approx([13.8, -13.8], abs=0.1)  # finite at the ends


def test_a_margin_put_in_comes_out_and_the_others_keep_their_ratios():
    generator = torch.Generator().manual_seed(0)
    p, labels = (2 * torch.randn(300, 5, generator=generator)).softmax(1), torch.arange(300) % 5
    margins = 3 * torch.randn(300, generator=generator)
    q = with_margin(p, labels, margins)
    assert q.sum(1).tolist() == pytest.approx([1.0] * 300, abs=1e-5)
    assert torch.allclose(margin_of(q, labels), margins, atol=1e-3)
    for i in range(0, 300, 17):
        a, b = [k for k in range(5) if k != int(labels[i])][:2]
        assert float(q[i, a] / q[i, b]) == pytest.approx(float(p[i, a] / p[i, b]), rel=1e-3)


def test_a_row_that_is_wholly_sure_can_be_made_unsure():
    labels = torch.zeros(3, dtype=torch.int64)
    logits = torch.tensor([[200.0, 0.0, 0.0], [35.0, 1.0, 0.0], [3.0, 1.0, 0.0]])
    q = with_margin(logits.softmax(1), labels, torch.zeros(3))
    assert q.sum(1).tolist() == pytest.approx([1.0] * 3, abs=1e-6)
    assert q[0].tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert [float(row[1] / row[2]) for row in q[1:]] == pytest.approx([math.e] * 2, rel=1e-3)
