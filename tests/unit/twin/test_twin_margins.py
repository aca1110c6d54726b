"""The map of the margins: what it undoes, what it never does, and between which two distributions it moves."""

import math

import pytest
import torch

from tmu.twin.margins import MarginMap, fit_margins, margin_of, quantiles, with_margin

N = 3000
INNER = (0.01, 0.99)  # quantiles between which a map of 400 steps is exact to a few hundredths
NOBODY = torch.full((1,), 0.0)


def _margins(seed: int, mean: float, spread: float, n: int = N) -> torch.Tensor:
    return mean + spread * torch.randn(n, generator=torch.Generator().manual_seed(seed))


def _inner(values: torch.Tensor) -> torch.Tensor:
    low, high = (values.quantile(level) for level in INNER)
    return (values >= low) & (values <= high)


@pytest.fixture(scope="module")
def fitted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, MarginMap]:
    """(foreseen, the original's, the references', map); regression has shrunk the foreseen ones."""
    foreseen, original, reference = _margins(1, 1.5, 1.5), _margins(2, 3.0, 3.0), _margins(3, 1.0, 2.0)
    return foreseen, original, reference, fit_margins(foreseen, original, reference)


@pytest.mark.parametrize(
    "distort",
    [lambda m: 0.4 * m - 1, lambda m: 4 * torch.tanh(m / 4), lambda m: m + m**3 / 20, lambda m: torch.exp(m / 3)],
    ids=["shrunk", "flattened", "steepened", "skewed"],
)
def test_a_planted_monotone_distortion_is_undone(distort):
    truth = _margins(0, 1.0, 2.0)
    foreseen = distort(truth)
    shuffled = truth[torch.randperm(N, generator=torch.Generator().manual_seed(1))]
    found = fit_margins(foreseen, shuffled, shuffled)
    part = _inner(truth)
    assert torch.allclose(found.quantile(foreseen, 0.0, shuffled)[part], truth[part], atol=0.06)
    assert float((foreseen + (truth - foreseen).mean() - truth)[part].abs().max()) > 0.3  # a shift cannot


def test_the_order_of_records_is_kept(fitted):
    foreseen, _, _, found = fitted
    for unseen in (_margins(7, 0.0, 4.0, 50), NOBODY):
        mapped = found.quantile(foreseen.sort().values, 0.2, unseen)
        assert (mapped.diff() >= -1e-5).all()
        turned = torch.randperm(N, generator=torch.Generator().manual_seed(4))
        again = found.quantile(foreseen[turned], 0.2, unseen)
        assert torch.allclose(again, found.quantile(foreseen, 0.2, unseen)[turned], atol=1e-5)


def test_nothing_lost_gives_the_originals_distribution_and_half_lost_the_references(fitted):
    foreseen, original, reference, found = fitted
    levels = torch.linspace(*INNER, 50)
    for lost, goal in ((0.0, original), (0.5, reference), (0.9, reference)):
        mapped = found.quantile(foreseen, lost, reference)  # drawn as the hold-out is
        assert torch.allclose(mapped.quantile(levels), goal.quantile(levels), atol=0.15), lost
    assert not torch.allclose(original.quantile(levels), reference.quantile(levels), atol=0.5)


def test_between_them_it_is_linear_in_the_logarithm_of_the_share_kept(fitted):
    *_, found = fitted
    none, half = found.of_gold(0.0), found.of_gold(0.5)
    for lost in (0.05, 0.1, 0.3):
        at = -math.log2(1 - lost)
        assert torch.allclose(found.of_gold(lost), none + at * (half - none), atol=1e-4)
    assert torch.equal(none, found.gold[0]) and torch.equal(half, found.gold[1])
    assert torch.equal(found.of_gold(1.0), half)  # beyond half there is nothing to go by
    assert float((found.of_gold(0.1) - none).mean()) < -0.01  # a gold of fewer records is less sure here


@pytest.mark.parametrize("harder", [-2.0, 0.0, 2.0])
def test_a_set_unlike_the_hold_out_is_told_by_the_references_that_never_saw_it(fitted, harder):
    _, _, reference, found = fitted
    foreseen = _margins(4, 1.5, 1.5)  # what is foreseen of the set does not tell that it is harder
    told = found.quantile(foreseen, 0.0, _margins(5, 1.0, 2.0) + harder)
    # a reference's margin m stands at a gold's 3 + 1.5 (m - 1): both are normal here
    assert float(told.median()) == pytest.approx(3.0 + 1.5 * harder, abs=0.4)
    assert float(found.quantile(foreseen, 0.0, reference).median()) == pytest.approx(3.0, abs=0.2)
    assert torch.equal(told.argsort(), foreseen.argsort())  # ranks stay the foreseen ones


def test_few_records_say_little_of_their_own_distribution(fitted):
    _, _, reference, found = fitted
    foreseen, moved = _margins(4, 1.5, 1.5), []
    for n in (10, 200, N):
        part = foreseen[:n]
        alone = found.quantile(part, 0.0, reference)
        moved.append(float((found.quantile(part, 0.0, _margins(5, 1.0, 2.0, n) - 3.0) - alone).mean()))
    assert 0 > moved[0] > moved[1] / 5 > moved[2] / 5
    assert moved[2] < -2


def test_a_references_margin_stands_where_it_stands_on_a_golds_scale(fitted):
    *_, found = fitted
    margins = torch.linspace(-2, 4, 20)
    assert torch.allclose(found.as_gold(margins, 0.0), 3.0 + 1.5 * (margins - 1.0), atol=0.35)
    assert torch.allclose(found.as_gold(margins, 0.5), margins, atol=1e-4)


def test_margins_beyond_all_that_was_seen_stay_within_the_golds(fitted):
    _, original, _, found = fitted
    mapped = found.as_gold(torch.tensor([-50.0, 50.0]), 0.0)
    assert original.min() <= mapped[0] < original.quantile(0.01)
    assert original.quantile(0.99) < mapped[1] <= original.max()


@pytest.mark.parametrize("n", [1, 2, 500])
def test_sets_of_any_size_are_mapped_to_finite_margins(fitted, n):
    *_, found = fitted
    mapped = found.quantile(_margins(8, 0.0, 5.0, n), 0.01, _margins(9, 0.0, 5.0, 2 * n))
    assert mapped.shape == (n,)
    assert torch.isfinite(mapped).all()


def test_quantiles_are_those_of_the_sorted_values():
    values = _margins(0, 0.0, 1.0, 801)
    found = quantiles(values)
    assert found.shape == (400,)
    assert (found.diff() >= 0).all()
    below = (values[None] <= found[:, None]).float().mean(1)
    assert torch.allclose(below, torch.linspace(0.0005, 0.9995, 400), atol=2e-3)


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
