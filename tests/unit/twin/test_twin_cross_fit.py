"""Cross-fit models: each record of D is asked of the network that has not seen it; its fold is its own affair."""

import pytest
import torch
from torch import nn

from tests.synthetic import CLASSES, MEMORISE, RECIPE, SEEDS, same_weights, tiny_net, weights_of
from tmu.config import Seeds
from tmu.train import Examples, Fit, fit, logits_of
from tmu.twin.cross_fit import FLOOR, CrossFit, fit_cross_fit, fold_of

N = 400
KNOWN, NEW = 0, 1  # what a diary answers


class _Diary(nn.Module):
    """A network that notes what it was trained on: class KNOWN for the pictures it has seen, NEW for all others."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, CLASSES, bias=False)
        self.head.weight.data = torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 0.0]])
        self.seen, self.keys = torch.zeros(0), torch.zeros(0, dtype=torch.int64)

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        known = torch.isin(_number(views), self.seen)
        return self.head(torch.stack([known, ~known], 1).float())


def _number(views: torch.Tensor) -> torch.Tensor:
    pixels = (views.flatten(1) * 255).round()
    return pixels[:, 0] * 256 + pixels[:, 1]


def _note(model, examples, recipe, seeds):
    model.seen, model.keys = _number(examples.images.float() / 255), examples.keys
    return Fit([], 0, 0.0, "fp32")


def _records(first: int, count: int) -> Examples:
    """Pictures that carry their own number."""
    numbers = torch.arange(first, first + count)
    images = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = (numbers // 256).to(torch.uint8), (numbers % 256).to(torch.uint8)
    keys = torch.randint(-(2**63), 2**63 - 1, (count,), generator=torch.Generator().manual_seed(first))
    return Examples(images, numbers % CLASSES, keys)


@pytest.fixture(scope="module")
def train() -> Examples:
    return _records(0, N)


@pytest.fixture(scope="module")
def diaries(train) -> CrossFit:
    return fit_cross_fit(lambda number: _Diary(), train, RECIPE, SEEDS, _note)


def test_every_record_of_d_is_asked_of_the_network_that_has_not_seen_it(diaries, train):
    assert (diaries.unseen(train).argmax(1) == NEW).all()
    assert (diaries.other(train).argmax(1) == KNOWN).all()  # the diaries do tell: asked wrongly, they would say so


def test_a_hold_out_record_is_new_to_both_and_each_is_asked_once(diaries):
    holdout = _records(N, 200)
    assert (diaries.unseen(holdout).argmax(1) == NEW).all()
    assert (diaries.other(holdout).argmax(1) == NEW).all()
    nets = [tiny_net(1), tiny_net(2)]
    answers = [logits_of(net, holdout.images).log_softmax(1).clamp_min(FLOOR) for net in nets]
    cross_fit, half = CrossFit(nets, diaries.seed), fold_of(holdout.keys, diaries.seed)
    unseen, other = cross_fit.unseen(holdout), cross_fit.other(holdout)
    for i in range(200):
        assert torch.equal(unseen[i], answers[1 - int(half[i])][i])
        assert torch.equal(other[i], answers[int(half[i])][i])
    assert not torch.allclose(unseen, other, atol=1e-3)


def test_the_cross_fit_models_part_d(diaries, train):
    first, second = (set(net.keys.tolist()) for net in diaries.nets)
    assert not first & second
    assert first | second == set(train.keys.tolist())
    for number, net in enumerate(diaries.nets):
        assert (fold_of(net.keys, SEEDS.evaluate) == number).all()


def test_removing_others_moves_no_record(diaries, train):
    kept = train.take(torch.arange(N) % 5 != 0)
    fewer = fit_cross_fit(lambda number: _Diary(), kept, RECIPE, SEEDS, _note)
    left = set(kept.keys.tolist())
    for before, after in zip(diaries.nets, fewer.nets, strict=True):
        assert set(after.keys.tolist()) == set(before.keys.tolist()) & left


def test_the_half_follows_key_and_seed_alone():
    keys = torch.randint(-(2**63), 2**63 - 1, (4000,), generator=torch.Generator().manual_seed(0))
    half, order = fold_of(keys, 3), torch.randperm(4000, generator=torch.Generator().manual_seed(1))
    assert torch.equal(fold_of(keys[order], 3), half[order])
    assert set(half.tolist()) == {0, 1}
    assert float(half.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((half == fold_of(keys, 4)).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_both_are_fresh_trained_by_the_given_recipe_and_in_orders_of_their_own(train):
    runs = []

    def watch(model, examples, recipe, seeds):
        runs.append((weights_of(model), recipe, seeds))
        return _note(model, examples, recipe, seeds)

    fit_cross_fit(lambda number: tiny_net(50 + number), train, MEMORISE, Seeds.all(4), watch)
    assert [same_weights(run[0], weights_of(tiny_net(50 + number))) for number, run in enumerate(runs)] == [True] * 2
    assert [run[1] for run in runs] == [MEMORISE] * 2
    assert len({(run[2].order, run[2].augment) for run in runs} | {(4, 4)}) == 3  # nor in the original's


def test_log_probabilities_end_at_the_floor(diaries, train):
    sure = _Diary()
    sure.head.weight.data *= 100
    log_p = CrossFit([sure, sure], 0).unseen(train)
    assert float(log_p.min()) == FLOOR
    assert float(diaries.unseen(train).min()) == pytest.approx(-9, abs=0.01)


def test_trained_cross_fit_models_know_their_own_records_alone(solved):
    def confidence(log_p, samples) -> float:
        return float(log_p.gather(1, samples.labels[:, None]).exp().mean())

    cross_fit, train, holdout = solved.twin.cross_fit, solved.train, solved.holdout
    assert confidence(cross_fit.other(train), train) > 0.95
    assert confidence(cross_fit.unseen(train), train) < 0.9
    on_holdout = [confidence(answer, holdout) for answer in (cross_fit.unseen(holdout), cross_fit.other(holdout))]
    assert on_holdout[0] == pytest.approx(on_holdout[1], abs=0.05)
    assert confidence(cross_fit.unseen(train), train) == pytest.approx(sum(on_holdout) / 2, abs=0.06)


def test_training_twice_gives_the_same_cross_fit_models(solved):
    again = fit_cross_fit(lambda number: tiny_net(1100 + number), solved.train, MEMORISE, SEEDS, fit)
    for mine, known in zip(again.nets, solved.twin.cross_fit.nets, strict=True):
        assert same_weights(weights_of(mine), weights_of(known))
