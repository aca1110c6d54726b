"""The power on the other classes: found where it is known, and nothing else of the targets moves."""

import pytest
import torch

from tmu.unlearn.concentrate import concentrate


def _gold(n: int = 4000, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(3)
    labels = torch.randint(classes, (n,), generator=drawn)
    logits = 2 * torch.randn(n, classes, generator=drawn).double()
    return logits.scatter_add(1, labels[:, None], torch.full((n, 1), 2.0).double()).softmax(1), labels


def _blurred(p: torch.Tensor, labels: torch.Tensor, power: float) -> torch.Tensor:
    """The same true-class probabilities, the others to a power of 1 / `power`."""
    true = p.gather(1, labels[:, None])
    others = p.pow(1 / power).scatter(1, labels[:, None], 0.0)
    return (others / others.sum(1, keepdim=True) * (1 - true)).scatter(1, labels[:, None], true)


@pytest.mark.parametrize("power", [0.6, 1.0, 1.5, 3.0])
def test_targets_that_were_blurred_are_brought_back(power):
    gold, labels = _gold()
    q = _blurred(gold, labels, power)
    sharp, found = concentrate(q, labels, gold, labels)
    assert found == pytest.approx(power, rel=0.02)
    assert torch.allclose(sharp, gold, atol=0.02)
    assert torch.allclose(sharp.sum(1), torch.ones(len(q)).double())


def test_errors_are_as_many_as_the_golds_and_the_true_class_is_untouched():
    gold, labels = _gold()
    q = _blurred(gold, labels, 3.0)
    sharp, _ = concentrate(q, labels, gold, labels)
    wrong = [float((each.argmax(1) != labels).double().mean()) for each in (q, sharp, gold)]
    assert wrong[0] < wrong[2] - 0.01  # spread over all others, the true class wins too often
    assert wrong[1] == pytest.approx(wrong[2], abs=0.005)
    assert torch.equal(sharp.gather(1, labels[:, None]), q.gather(1, labels[:, None]))


def test_the_gold_is_asked_where_it_leaves_as_much():
    """Its clear records are spread evenly, its others decided: hard targets learn from the latter alone."""
    gold, labels = _gold()
    clear = gold.gather(1, labels[:, None])[:, 0] > 0.6
    even = torch.where(clear[:, None], _blurred(gold, labels, 50.0), gold)
    hard = _blurred(gold, labels, 2.0)[~clear]
    _, found = concentrate(hard, labels[~clear], even, labels)
    assert found == pytest.approx(2.0, rel=0.05)


def test_what_cannot_be_concentrated_is_left_alone():
    q = torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    labels = torch.tensor([0, 1])
    same, power = concentrate(q, labels, q, labels)
    assert torch.equal(same, q) and power == 1.0
    gold, of = _gold(40)
    none = gold[:0]
    assert concentrate(none, of[:0], gold, of)[1] == concentrate(gold, of, none, of[:0])[1] == 1.0
    few, power = concentrate(gold[:1], of[:1], gold[:3], of[:3])
    assert torch.isfinite(few).all() and 1 / 8 <= power <= 8
    certain = torch.nn.functional.one_hot(of, 5).float()
    assert torch.allclose(concentrate(certain, of, gold, of)[0], certain)
