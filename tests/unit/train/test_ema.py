"""The averaged weights are those of a slow sum over all steps, are what is kept, and look at no step from outside."""

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.train import fit
from tmu.train.ema import Average

AVERAGED = RECIPE.model_copy(update={"ema": 0.8, "epochs": 3})


def _run(recipe, net=None):
    steps, net = [], net or tiny_net()
    fit(net, blobs(64), recipe, SEEDS, after_step=lambda model, done: steps.append(weights_of(model)))
    return net, steps


def test_what_is_kept_is_the_average_of_weights_and_statistics():
    net, steps = _run(AVERAGED)
    slow = {name: value.double() for name, value in weights_of(tiny_net()).items()}
    for number, now in enumerate(steps, 1):
        decay = min(0.8, number / (number + 9))
        slow = {name: decay * value + (1 - decay) * now[name].double() for name, value in slow.items()}
    for name, value in weights_of(net).items():
        if value.is_floating_point():
            assert torch.allclose(value.double(), slow[name], atol=1e-5), name
        else:
            assert torch.equal(value, steps[-1][name]), name
    assert not same_weights(weights_of(net), steps[-1])


def test_averaging_changes_no_step():
    _, averaged = _run(AVERAGED)
    _, plain = _run(AVERAGED.model_copy(update={"ema": None}))
    assert all(same_weights(*pair) for pair in zip(averaged, plain, strict=True))


def test_a_frozen_backbone_is_its_own_average():
    before, (net, _) = weights_of(tiny_net()), _run(AVERAGED.model_copy(update={"backbone_lr": 0.0}))
    changed = [name for name, value in weights_of(net).items() if not torch.equal(value, before[name])]
    assert len(changed) == 2  # weight and bias of the head


def test_a_model_gets_its_own_weights_back():
    net = tiny_net()
    average, own = Average(net, 0.5), weights_of(net)
    with torch.no_grad():
        for value in net.parameters():
            value += 1
    with average.shown():
        assert same_weights(weights_of(net), own)
    assert all(torch.equal(value, own[name] + 1) for name, value in net.named_parameters())


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_no_trace_of_the_first_weights_stays(decay):
    net = torch.nn.Linear(1, 1)
    with torch.no_grad():
        net.weight.fill_(1e6)
        average = Average(net, decay)
        net.weight.fill_(1.0)
    for step in range(1, 60):
        average.update(step)
    assert float(average.tensors["weight"]) == pytest.approx(1, abs=0.1)
