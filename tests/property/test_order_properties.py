"""What holds for every key, seed and size: pairing, batches, the hash, the learning rate, wrong labels."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tmu.config import TrainConfig
from tmu.train.order import augment, batch_count, batches, epoch_order, hash_keys, view_bits
from tmu.train.schedule import learning_rate
from tmu.unlearn.random_label import wrong_labels

KEY = st.integers(-(2**63), 2**63 - 1)
SEED = st.integers(0, 2**31)


def _splitmix64(key: int, start: int) -> int:
    """Slow oracle on Python's integers."""
    mask = 2**64 - 1
    z = (((key & mask) ^ start) + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@given(st.lists(KEY, min_size=1, max_size=20), st.integers(0, 2**64 - 1))
def test_hash_agrees_with_the_slow_one(keys, start):
    assert hash_keys(torch.tensor(keys), start).tolist() == [_splitmix64(key, start) for key in keys]


@given(st.lists(KEY, min_size=2, max_size=40, unique=True), st.data(), SEED, st.integers(0, 50))
def test_removal_leaves_the_order_of_the_rest(keys, data, seed, epoch):
    kept = data.draw(st.lists(st.sampled_from(keys), unique=True, min_size=1))
    whole = [keys[row] for row in epoch_order(torch.tensor(keys), seed, epoch)]
    rest = [kept[row] for row in epoch_order(torch.tensor(kept), seed, epoch)]
    assert rest == [key for key in whole if key in set(kept)]


@given(st.lists(KEY, min_size=2, max_size=12, unique=True), st.data(), SEED, st.integers(0, 50))
def test_removal_leaves_every_other_view_bit_equal(keys, data, seed, epoch):
    rows = data.draw(st.lists(st.sampled_from(range(len(keys))), unique=True, min_size=1))
    images, keys = torch.rand(len(keys), 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor(keys)
    whole = augment(images, view_bits(keys, seed, epoch), "flip_shift")
    part = augment(images[rows], view_bits(keys[rows], seed, epoch), "flip_shift")
    assert torch.equal(part, whole[rows])


@given(st.integers(2, 500), st.integers(2, 64))
def test_batches_part_the_order_and_none_holds_one(n, size):
    parts = batches(torch.arange(n), size)
    lengths = [len(part) for part in parts]
    assert torch.equal(torch.cat(parts), torch.arange(n))
    assert len(parts) == batch_count(n, size)
    assert min(lengths) >= 2
    assert max(lengths) <= max(size, 3)
    assert max(lengths) - min(lengths) <= 1


@given(st.sampled_from(["triangle", "cosine", "constant"]), st.floats(0, 1), st.integers(1, 300))
def test_learning_rate_stays_within_its_peak(schedule, warmup, steps):
    config = TrainConfig(lr=0.3, schedule=schedule, warmup=warmup)
    rates = [learning_rate(config, step, steps) for step in range(steps)]
    assert all(0 < rate <= 0.3 * (1 + 1e-12) for rate in rates)
    if schedule == "triangle":
        peak = rates.index(max(rates))
        assert rates[: peak + 1] == sorted(rates[: peak + 1])
        assert rates[peak:] == sorted(rates[peak:], reverse=True)
        if warmup <= 0.5:  # the last step is half a step before zero
            assert abs(rates[-1] - 0.3 * 0.5 / steps / (1 - warmup)) < 1e-12
    if schedule == "constant":
        assert set(rates) == {0.3}
    if schedule == "cosine":
        assert rates == sorted(rates, reverse=True)


@given(st.integers(2, 12), st.lists(st.integers(0, 1000), min_size=1, max_size=50), SEED)
def test_a_random_label_never_equals_the_true_one(classes, numbers, seed):
    labels = torch.tensor(numbers) % classes
    wrong = wrong_labels(labels, classes, seed)
    assert wrong.dtype == labels.dtype
    assert bool((wrong != labels).all())
    assert int(wrong.min()) >= 0
    assert int(wrong.max()) < classes
