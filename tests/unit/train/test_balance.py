"""Rare classes: weights and visits by the run's own counts, paired with the order without balance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.train import fit
from tmu.train.balance import balanced_order, class_weights
from tmu.train.batch import soft_cross_entropy
from tmu.train.order import epoch_order

LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=60)


def _keys(n: int) -> torch.Tensor:
    return torch.randint(-(2**63), 2**63 - 1, (n,), generator=torch.Generator().manual_seed(n))


@given(LABELS)
def test_each_class_weighs_the_same_and_the_mean_is_one(labels):
    labels = torch.tensor(labels)
    weights = class_weights(labels)
    sums = [float(weights[labels == kind].sum()) for kind in labels.unique()]
    assert max(sums) == pytest.approx(min(sums), rel=1e-4)
    assert float(weights.mean()) == pytest.approx(1, rel=1e-4)


@given(LABELS, st.integers(0, 99), st.integers(0, 9))
def test_each_class_is_visited_equally_often_in_whole_rounds(labels, seed, epoch):
    labels = torch.tensor(labels)
    order = balanced_order(_keys(len(labels)), labels, seed, epoch)
    assert len(order) == len(labels)
    by_class = labels[order].bincount()[labels.unique()]
    assert int(by_class.max() - by_class.min()) <= 1
    visits = order.bincount(minlength=len(labels))
    for kind in labels.unique():
        of_kind = visits[labels == kind]
        assert int(of_kind.max() - of_kind.min()) <= 1


@given(LABELS, st.integers(0, 99))
def test_first_visits_keep_the_order_without_balance(labels, seed):
    labels = torch.tensor(labels)
    keys = _keys(len(labels))
    visits = balanced_order(keys, labels, seed, 0).tolist()
    once = {row for row in visits if visits.count(row) == 1}
    plain = [row for row in epoch_order(keys, seed, 0).tolist() if row in once]
    assert [row for row in visits if row in once] == plain


def test_equal_classes_are_visited_once_each():
    labels = torch.arange(60) % 3
    assert torch.equal(balanced_order(_keys(60), labels, 4, 2), epoch_order(_keys(60), 4, 2))


def test_the_rest_is_drawn_anew_in_each_epoch():
    labels = (torch.arange(60) < 6).long()
    drawn = [frozenset(balanced_order(_keys(60), labels, 0, epoch).tolist()) for epoch in range(4)]
    assert len(set(drawn)) == 4


def _seen(examples, balance):
    seen = []

    def watch(model, batch):
        seen.append(batch)
        return soft_cross_entropy(model, batch)

    net = tiny_net()
    fit(net, examples, RECIPE.model_copy(update={"balance": balance}), SEEDS, objective=watch)
    return net, seen


def test_the_engine_counts_anew_in_each_run():
    """A gold's weights come from its own records: class 0 is rarer there than in the original's set."""
    examples = blobs(90)
    kept = (examples.labels != 0) | (torch.arange(90) % 3 == 0)
    for part in (examples, examples.take(kept)):
        _, batches = _seen(part, "weights")
        for batch in batches:
            assert torch.equal(batch.weights, class_weights(part.labels)[batch.rows])


def test_sampling_balances_the_batches_and_another_recipe_does_not():
    examples = blobs(90)
    examples = examples.take((examples.labels != 0) | (torch.arange(90) % 5 == 0))
    nets = {}
    for balance in ("none", "weights", "sampling"):
        nets[balance], batches = _seen(examples, balance)
        counts = torch.cat([batch.labels for batch in batches]).bincount()
        assert (int(counts.max() - counts.min()) <= 2) == (balance == "sampling")
    assert not same_weights(weights_of(nets["none"]), weights_of(nets["weights"]))
