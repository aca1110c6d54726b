"""Order and views keyed by the record: the hash against plain integers, pairing through the whole engine."""

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, tiny_net
from tmu.train import fit
from tmu.train import order as order_room
from tmu.train.batch import soft_cross_entropy
from tmu.train.order import augment, batch_count, batches, epoch_order, hash_keys, stream, view_bits


def test_the_hash_is_splitmix64():
    """First outputs of the published generator for seeds 0 and 1 (Steele, Lea, Flood 2014)."""
    hashed = hash_keys(torch.tensor([0, 1]), 0)
    assert [hex(value) for value in hashed.tolist()] == ["0xe220a8397b1dcdaf", "0x910a2dec89025cc1"]


def test_streams_of_other_seeds_purposes_and_epochs_differ():
    starts = {stream(0, "order", 0), stream(1, "order", 0), stream(0, "augment", 0), stream(0, "order", 1)}
    assert len(starts) == 4


def test_order_and_views_differ_between_seeds_and_epochs():
    examples = blobs(64)
    draws = ((0, 0), (0, 1), (1, 0))  # (seed, epoch)
    orders = [epoch_order(examples.keys, *draw) for draw in draws]
    views = [augment(examples.images.float(), view_bits(examples.keys, *draw), "shift") for draw in draws]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not torch.equal(orders[first], orders[second])
        assert not torch.equal(views[first], views[second])
    assert all(torch.equal(order.sort().values, torch.arange(64)) for order in orders)


@pytest.mark.parametrize(("n", "size", "lengths"), [(7, 2, [3, 2, 2]), (3, 2, [3]), (9, 4, [3, 3, 3]), (8, 8, [8])])
def test_no_record_is_alone_in_a_batch(n, size, lengths):
    assert [len(batch) for batch in batches(torch.arange(n), size)] == lengths
    assert batch_count(n, size) == len(lengths)


def test_none_is_the_identity():
    images = blobs(4).images.float()
    assert augment(images, view_bits(blobs(4).keys, 0, 0), "none") is images


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (3, 8, 24)])
def test_a_view_is_a_window_of_the_mirrored_image(shape):
    """Slow oracle: cut the window pixel by pixel, reading outside pixels from the mirrored inside."""
    n, (c, h, w) = 5, shape
    images = torch.arange(n * c * h * w).reshape(n, *shape).float()
    bits = view_bits(torch.arange(n), 3, 0)
    views, reach = augment(images, bits, "shift"), w // 8
    assert views.shape == images.shape

    def mirrored(position: int, size: int) -> int:
        position = abs(position)
        return position if position < size else 2 * (size - 1) - position

    for i in range(n):
        down, right = int(bits[i]) % (2 * reach + 1) - reach, (int(bits[i]) >> 16) % (2 * reach + 1) - reach
        for y in range(h):
            for x in range(w):
                expected = images[i, :, mirrored(y + down, h), mirrored(x + right, w)]
                assert torch.equal(views[i, :, y, x], expected)


def test_all_shifts_occur_and_half_are_flipped():
    n = 400
    ramp = torch.arange(64.0).reshape(1, 1, 8, 8).expand(n, 1, 8, 8)
    bits = view_bits(torch.arange(n), 0, 0)
    shifted = augment(ramp, bits, "shift")
    assert len({tuple(view.flatten().tolist()) for view in shifted}) == 9  # down and right by -1, 0 and 1
    flipped = augment(ramp, bits, "flip_shift")
    mirrored = (flipped == shifted.flip(-1)).all(3).all(2).all(1)
    assert torch.equal((flipped == shifted).all(3).all(2).all(1), ~mirrored)
    assert 0.4 < mirrored.float().mean() < 0.6


def _seen(examples, recipe) -> list[tuple[int, bytes]]:
    """(key, view) of every record in the order in which an objective meets them."""
    seen = []

    def watch(model, batch):
        keys = examples.keys[batch.rows].tolist()
        seen.extend((key, view.numpy().tobytes()) for key, view in zip(keys, batch.views.contiguous(), strict=True))
        return soft_cross_entropy(model, batch)

    fit(tiny_net(), examples, recipe, SEEDS, objective=watch)
    return seen


def test_a_gold_sees_the_originals_sequence_with_the_forgotten_left_out():
    examples = blobs(50)
    recipe = RECIPE.model_copy(update={"augment": "flip_shift", "epochs": 3})
    forgotten = torch.zeros(50, dtype=torch.bool)
    forgotten[[0, 7, 8, 31, 49]] = True
    gone = set(examples.keys[forgotten].tolist())
    original, gold = _seen(examples, recipe), _seen(examples.take(~forgotten), recipe)
    assert len(original) == 150
    assert gold == [entry for entry in original if entry[0] not in gone]


def test_keys_are_hashed_once_an_epoch_and_not_in_every_step(monkeypatch):
    """On an accelerator every hash is a wait for the host."""
    calls, real = [], order_room.hash_keys
    monkeypatch.setattr(order_room, "hash_keys", lambda keys, start: calls.append(len(keys)) or real(keys, start))
    fit(tiny_net(), blobs(64), RECIPE.model_copy(update={"augment": "shift"}), SEEDS)
    assert calls == [64] * 4  # order and views of two epochs
