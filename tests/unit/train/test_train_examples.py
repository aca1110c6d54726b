"""Records as tensors, and a model's outputs over them."""

import pytest
import torch

from tests.synthetic import CLASSES, blobs, tiny_net
from tmu.models.registry import head_of
from tmu.train import logits_of, predict
from tmu.train.examples import as_probabilities, join


def test_taking_rows_takes_every_field():
    taught = blobs(6).taught(torch.rand(6, CLASSES), weight=2.0, noise=torch.arange(6) / 10)
    for rows in (torch.tensor([4, 1]), torch.tensor([False, True, False, False, True, False])):
        part = taught.take(rows)
        assert all(torch.equal(value, getattr(taught, name)[rows]) for name, value in vars(part).items())
        assert len(part) == 2
    assert blobs(6).take(torch.tensor([0])).targets is None


def test_a_constant_noise_is_given_to_each_record():
    assert blobs(3).taught(torch.rand(3, CLASSES), noise=0.25).noise.tolist() == [0.25] * 3


def test_joining_fills_what_one_part_lacks():
    taught = blobs(2).taught(torch.tensor([[0.2, 0.3, 0.5]] * 2), weight=3.0, noise=0.1)
    plain = blobs(3, seed=1)
    both = join(taught, plain, CLASSES)
    assert torch.equal(both.images, torch.cat([taught.images, plain.images]))
    assert torch.equal(both.keys, torch.cat([taught.keys, plain.keys]))
    assert torch.equal(both.labels, torch.cat([taught.labels, plain.labels]))
    assert torch.equal(both.targets, torch.cat([taught.targets, as_probabilities(plain.labels, CLASSES)]))
    assert both.weights.tolist() == [3.0, 3.0, 1.0, 1.0, 1.0]
    assert both.noise.tolist() == pytest.approx([0.1, 0.1, 0.0, 0.0, 0.0])


def test_predictions_are_the_models_own_and_not_of_a_batch():
    net, images = tiny_net().train(), blobs(20).images
    before = net[1][1].running_mean.clone()
    logits, features = predict(net, images, batch_size=7)
    assert not net.training
    assert torch.equal(net[1][1].running_mean, before)
    with torch.no_grad():
        direct = net(images.float() / 255)
    assert torch.allclose(logits, direct, atol=1e-5)
    assert torch.allclose(head_of(net)(features), logits, atol=1e-5)
    assert not logits.requires_grad
    assert torch.equal(logits_of(net, images, batch_size=7), logits)
