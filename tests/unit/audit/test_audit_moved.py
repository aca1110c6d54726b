import copy
import math

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, tiny_net, weights_of
from tmu.audit.moved import parameters_moved
from tmu.train import fit


def test_batch_normalisation_alone_has_not_moved_a_parameter():
    """An optimiser that holds another model: the right one runs in training mode, and only its statistics drift."""
    original = tiny_net(0)
    drifted = copy.deepcopy(original).train()
    with torch.no_grad():
        drifted(blobs(64).images.float() / 255)
    before, after = weights_of(original), weights_of(drifted)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert parameters_moved(original, drifted) == 0.0


def test_training_moves_parameters_and_the_number_is_the_written_one():
    original = tiny_net(0)
    trained = copy.deepcopy(original)
    fit(trained, blobs(64), RECIPE, SEEDS)
    flat = [torch.cat([p.detach().flatten() for p in model.parameters()]) for model in (original, trained)]
    expected = float((flat[1] - flat[0]).norm() / flat[0].norm())
    assert parameters_moved(original, trained) == pytest.approx(expected, rel=1e-5)
    assert expected > 0.01
    assert parameters_moved(trained, trained) == 0.0


def test_another_architecture_is_infinitely_far():
    assert parameters_moved(tiny_net(0), tiny_net(0, width=8)) == math.inf
