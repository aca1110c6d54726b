"""Forget set and replay: who comes into which batch, how often, and that nobody's place decides over it."""

import copy
from collections import Counter
from itertools import combinations

import pytest
import torch

from tests.synthetic import CLASSES, MEMORISE, SEEDS, same_weights, weights_of
from tmu.references.rows import ReferenceRows
from tmu.train import Fit, fit, logits_of
from tmu.train.batch import Batch
from tmu.twin.replay import PER_EPOCH, Replay, StepCase, StepPlan, TowardsMargins, replay_weights, take_step


def _keys(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(-(2**63), 2**63 - 1, (n,), generator=torch.Generator().manual_seed(seed))


def _replay(n_forget=24, n_pool=50, forget=8, replay=6, seed=0, weights=None) -> Replay:
    weights = torch.ones(n_pool) if weights is None else weights
    return Replay(_keys(n_forget, 1), _keys(n_pool, 2), weights, forget, replay, seed)


def _batches(replay: Replay, number: int) -> list[torch.Tensor]:
    drawn = [batch for epoch in range(-(-number // PER_EPOCH)) for batch in replay(epoch)]
    return drawn[:number]


def test_a_batch_holds_so_many_of_each_and_no_record_of_the_pool_twice():
    for batch in _batches(_replay(), 40):
        forgotten, pool = batch[batch < 24], batch[batch >= 24]
        assert (len(forgotten), len(pool)) == (8, 6)
        assert len(set(batch.tolist())) == 14
        assert int(pool.min()) >= 24 and int(pool.max()) < 74


def test_sets_smaller_than_asked_for_come_whole():
    for batch in _batches(_replay(n_forget=3, n_pool=4), 12):
        assert sorted(batch.tolist()) == list(range(7))


@pytest.mark.parametrize(("n", "size"), [(24, 8), (10, 4), (7, 5), (5, 5)])
def test_forget_records_come_round_evenly(n, size):
    """After any number of batches no record is more than one ahead of another."""
    counts = torch.zeros(n, dtype=torch.int64)
    for number, batch in enumerate(_batches(_replay(n_forget=n, forget=size), 60), start=1):
        counts += torch.bincount(batch[batch < n], minlength=n)
        assert int(counts.sum()) == number * size
        assert int(counts.max() - counts.min()) <= 1


def test_each_round_has_an_order_of_its_own():
    batches = [batch[batch < 24] for batch in _batches(_replay(), 12)]
    rounds = [tuple(torch.cat(batches[start : start + 3]).tolist()) for start in range(0, 12, 3)]
    assert len(set(rounds)) == 4
    assert all(sorted(order) == list(range(24)) for order in rounds)


def test_batches_follow_keys_seed_and_step_alone():
    first, again, other = (_batches(_replay(seed=seed), 12) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for part in (slice(0, 8), slice(8, 14)):
        assert any(not torch.equal(a[part], b[part]) for a, b in zip(first, other, strict=True))
    replay = _replay(seed=3)
    assert all(torch.equal(a, b) for a, b in zip(replay(2), first[8:12], strict=True))  # whatever was asked before
    assert len({tuple(batch[8:].tolist()) for batch in first}) == 12


def test_the_pools_order_decides_over_nothing():
    weights = 0.05 + torch.rand(50, generator=torch.Generator().manual_seed(5))
    turned = torch.randperm(50, generator=torch.Generator().manual_seed(6))
    plain = _replay(weights=weights)
    moved = Replay(plain.forget_keys, plain.pool_keys[turned], weights[turned], 8, 6, 0)
    for a, b in zip(_batches(plain, 20), _batches(moved, 20), strict=True):
        assert torch.equal(a[:8], b[:8])
        assert set(plain.pool_keys[a[8:] - 24].tolist()) == set(moved.pool_keys[b[8:] - 24].tolist())


def test_who_goes_from_the_pool_leaves_the_others_draws_as_they_are():
    """A record that is never drawn can go without a trace: an erasure elsewhere changes no step."""
    plain = _replay()
    drawn = {int(row) - 24 for batch in _batches(plain, 4) for row in batch if row >= 24}
    kept = torch.tensor([row for row in range(50) if row in drawn or row % 2])
    fewer = Replay(plain.forget_keys, plain.pool_keys[kept], plain.weights[kept], 8, 6, 0)
    assert len(kept) < 50
    for a, b in zip(_batches(plain, 4), _batches(fewer, 4), strict=True):
        assert set(plain.pool_keys[a[8:] - 24].tolist()) == set(fewer.pool_keys[b[8:] - 24].tolist())


def _law(weights: list[float]) -> dict[frozenset, float]:
    """The exact chance of each pair: one is drawn in proportion to the weights, then another among the rest."""
    total = sum(weights)
    chances: dict[frozenset, float] = {}
    for first, second in combinations(range(len(weights)), 2):
        a, b = weights[first] / total, weights[second] / total
        chances[frozenset((first, second))] = a * b / (1 - a) + b * a / (1 - b)
    return chances


def test_draws_without_replacement_follow_the_weights():
    weights, number = [0.05, 0.15, 0.3, 0.6, 1.05], 6000
    replay = Replay(_keys(2), _keys(5, 9), torch.tensor(weights), 2, 2, 1)
    drawn = Counter(frozenset((batch[2:] - 2).tolist()) for batch in _batches(replay, number))
    law = _law(weights)
    assert sum(law.values()) == pytest.approx(1)

    def statistic(chances: dict[frozenset, float]) -> float:
        return sum((drawn[pair] - number * p) ** 2 / (number * p) for pair, p in chances.items())

    assert statistic(law) < 27.9  # chi-squared of 9 degrees of freedom: one in a thousand
    # it would show weights that are slightly other, and draws in proportion to products
    assert statistic(_law([0.05, 0.15, 0.3, 0.6, 1.3])) > 40
    products = {pair: torch.tensor([weights[i] for i in pair]).prod().item() for pair in law}
    assert statistic({pair: value / sum(products.values()) for pair, value in products.items()}) > 100


def _rows(learned: list[float], unseen: list[float]) -> ReferenceRows:
    """Records of class 1 of two, each with a network that learned it, or none (NaN), and one that did not."""
    p = torch.tensor([[0.5 if value != value else value, other] for value, other in zip(learned, unseen, strict=True)])
    logp = torch.stack([1 - p, p], 2).log()
    seen = torch.tensor([[value == value, False] for value in learned])
    n = len(learned)
    return ReferenceRows(torch.arange(n), torch.ones(n, dtype=torch.int64), seen, logp)


def test_weights_are_what_was_memorised_and_a_little():
    nan = float("nan")
    weights = replay_weights(_rows([0.9, 0.9, 0.4, 0.5, nan], [0.3, 0.9, 0.8, 0.45, 0.2]))
    assert weights.tolist() == pytest.approx([0.65, 0.05, 0.05, 0.10, 0.05], abs=1e-6)
    assert weights.dtype == torch.float32


def test_memorised_records_weigh_more_on_real_references(solved, referred):
    weights = replay_weights(referred.rows)
    assert (weights >= 0.05).all()
    wrong = referred.rows.unseen().argmax(1) != solved.train.labels
    assert 10 < int(wrong.sum()) < 120
    assert float(weights[wrong].mean()) > 5 * float(weights[~wrong].mean())


def _case(solved, trainer) -> StepCase:
    rows = torch.arange(240)
    weights = torch.rand(192, generator=torch.Generator().manual_seed(2)) + 0.05
    forget, pool = solved.train.take(rows < 48), solved.train.take(rows >= 48)
    return StepCase(forget, pool, weights, CLASSES, MEMORISE, SEEDS, trainer)


def test_a_step_teaches_targets_and_labels_on_batches_of_the_plan(solved):
    given = []

    def watch(model, examples, recipe, seeds, *, sampler, objective):
        assert objective == TowardsMargins(48)
        given.append((examples, recipe, seeds, sampler))
        return Fit([], 0, 0.0, "fp32")

    targets = torch.full((48, CLASSES), 1 / CLASSES)
    case = _case(solved, watch)
    take_step(copy.deepcopy(solved.original), case, targets, StepPlan(26, 24, 32, 0.03, 0.4))
    ((examples, recipe, seeds, sampler),) = given
    assert torch.equal(examples.targets[:48], targets)
    assert torch.equal(examples.targets[48:].argmax(1), case.pool.labels)
    assert torch.equal(examples.keys, torch.cat([case.forget.keys, case.pool.keys]))
    kept = {"lr": 0.03, "schedule": "triangle", "warmup": 0.1, "epochs": 6}
    assert recipe == MEMORISE.model_copy(update=kept)  # the rest is the original's
    assert seeds == SEEDS
    assert recipe.epochs * len(sampler(0)) == 24  # whole epochs of the engine: 26 to the nearest
    wanted = Replay(case.forget.keys, case.pool.keys, case.weights, 24, 32, SEEDS.unlearn)
    assert all(torch.equal(a, b) for a, b in zip(sampler(1), wanted(1), strict=True))


def test_a_step_moves_the_forget_set_to_its_targets_and_keeps_the_pool(solved):
    targets = torch.full((48, CLASSES), 0.1).scatter(1, solved.train.labels[:48, None], 0.8)
    model, case = copy.deepcopy(solved.original), _case(solved, fit)
    report = take_step(model, case, targets, StepPlan(48, 24, 32, 0.05, 0.0))
    assert report.steps == 48

    def sure(examples) -> torch.Tensor:
        return logits_of(model, examples.images).softmax(1).gather(1, examples.labels[:, None]).mean()

    assert 0.7 < float(sure(case.forget)) < 0.9
    assert float(sure(case.pool)) > 0.93
    assert not same_weights(weights_of(model), weights_of(solved.original))


def test_the_objective_pulls_margins_where_cross_entropy_hardly_does():
    """One record of D_f, one of the replay: the model is surer of both than it should be of the first."""
    logits = torch.tensor([[9.0, 0.0], [9.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[0.999, 0.001], [1.0, 0.0]])
    batch = Batch(torch.zeros(2, 1), torch.tensor([0, 1]), torch.tensor([0, 0]), targets, None)
    loss, _ = TowardsMargins(1)(lambda views: logits, batch)
    (pull,) = torch.autograd.grad(loss, logits)
    crossed = (logits.softmax(1) - targets) / 2
    assert torch.allclose(pull[1], crossed[1])  # the replay learns its label, no more
    assert float(pull[0, 0] - crossed[0, 0]) == pytest.approx(0.2 / 2, rel=1e-3)  # a Huber loss beyond its corner
    assert abs(float(crossed[0, 0])) < 1e-3
