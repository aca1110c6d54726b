"""How many forgotten records are hard, and which."""

import pytest
import torch

from tmu.unlearn.choose import hard_count, hardest, random_choice


def test_the_count_follows_each_classs_hold_out_error():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    assert hard_count(labels, torch.tensor([0.1, 0.3, 0.5])) == round(50 * 0.1 + 30 * 0.3 + 20 * 0.5) == 24
    assert hard_count(labels[:50], torch.tensor([0.1, 0.3, 0.5])) == 5
    assert hard_count(labels, torch.zeros(3)) == 0
    assert hard_count(labels, torch.ones(3)) == 100


def test_the_hardest_are_those_of_the_highest_chance():
    p = torch.tensor([0.2, 0.9, 0.1, 0.8, 0.5])
    assert hardest(p, 2).tolist() == [False, True, False, True, False]
    assert not hardest(p, 0).any()
    assert hardest(p, 5).all()
    assert hardest(torch.full((4,), 0.5), 2).tolist() == [True, True, False, False]  # ties: the first ones


@pytest.mark.parametrize("count", [0, 1, 37, 100])
def test_random_choice_takes_exactly_the_number(count):
    keys = torch.randint(-(2**63), 2**63 - 1, (100,), generator=torch.Generator().manual_seed(0))
    assert int(random_choice(keys, count, 0).sum()) == count


def test_random_choice_looks_at_keys_alone():
    generator = torch.Generator().manual_seed(0)
    keys = torch.randint(-(2**63), 2**63 - 1, (100,), generator=generator)
    turned = torch.randperm(100, generator=generator)
    assert torch.equal(random_choice(keys[turned], 30, 0), random_choice(keys, 30, 0)[turned])
    assert not torch.equal(random_choice(keys, 30, 1), random_choice(keys, 30, 0))
    assert not torch.equal(random_choice(keys, 30, 0, "level"), random_choice(keys, 30, 0))


def test_random_choice_is_uniform_over_records():
    """No record, hard or easy, first or last, is preferred: over 400 seeds each is drawn about 100 times of 400."""
    keys = torch.arange(40)
    drawn = torch.stack([random_choice(keys, 10, seed) for seed in range(400)]).sum(0)
    assert int(drawn.min()) > 65
    assert int(drawn.max()) < 135
