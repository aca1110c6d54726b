"""What each optimiser moves, how fast and with which decay, against plain loops; and a backbone that is frozen."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.config import TrainConfig
from tmu.models.registry import head_of
from tmu.train import fit
from tmu.train.batch import soft_cross_entropy
from tmu.train.optimisers import optimiser_of, trained
from tmu.train.schedule import learning_rate

ONE_STEP = TrainConfig(
    epochs=1, batch_size=64, lr=0.1, momentum=0, weight_decay=0, schedule="constant", precision="fp32"
)
ADAMW = TrainConfig(
    epochs=2, batch_size=16, optimiser="adamw", lr=0.01, weight_decay=0.1, schedule="warmup_cosine", precision="fp32"
)
FROZEN = RECIPE.model_copy(update={"backbone_lr": 0.0})


def _trained(recipe, examples=None, **options):
    net = tiny_net()
    fit(net, examples or blobs(64), recipe, SEEDS, **options)
    return net


def _head_names(net: nn.Module) -> set[str]:
    head = {id(parameter) for parameter in head_of(net).parameters()}
    return {name for name, parameter in net.named_parameters() if id(parameter) in head}


def test_adamw_agrees_with_a_plain_loop():
    batches = []

    def watch(model, batch):
        batches.append((batch.views.clone(), batch.labels.clone()))
        return soft_cross_entropy(model, batch)

    ours = _trained(ADAMW, objective=watch)
    slow = tiny_net().train()
    optimiser = torch.optim.AdamW(slow.parameters(), lr=1.0, betas=(0.9, 0.999), weight_decay=0.1, foreach=False)
    for step, (views, labels) in enumerate(batches):
        optimiser.param_groups[0]["lr"] = learning_rate(ADAMW, step, len(batches))
        optimiser.zero_grad()
        nn.functional.cross_entropy(slow(views), labels).backward()
        optimiser.step()
    for name, value in slow.named_parameters():
        assert torch.allclose(value, dict(ours.named_parameters())[name], atol=1e-4), name
    assert not same_weights(weights_of(ours), weights_of(_trained(ADAMW.model_copy(update={"optimiser": "sgd"}))))


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_frozen_backbone_keeps_weights_and_statistics_bit_by_bit(optimiser):
    before, net = weights_of(tiny_net()), _trained(FROZEN.model_copy(update={"optimiser": optimiser}))
    moved = {name for name, value in weights_of(net).items() if not torch.equal(value, before[name])}
    assert moved == _head_names(net)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert set(trained(net, FROZEN)) == moved


def test_a_run_that_fails_leaves_no_parameter_frozen():
    net = tiny_net()

    def fail(model, batch):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fit(net, blobs(64), FROZEN, SEEDS, objective=fail)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_slower_backbone_takes_that_share_of_a_step():
    start, head = dict(tiny_net().named_parameters()), _head_names(tiny_net())
    whole, slow = (
        dict(_trained(ONE_STEP.model_copy(update={"backbone_lr": factor})).named_parameters()) for factor in (1.0, 0.25)
    )
    for name, value in start.items():
        factor = 1.0 if name in head else 0.25
        assert torch.allclose(slow[name] - value, factor * (whole[name] - value), atol=1e-6), name
        assert not torch.equal(slow[name], value)


def test_without_decay_on_vectors_only_matrices_shrink():
    nothing = replace(blobs(64), weights=torch.zeros(64))
    recipe = ONE_STEP.model_copy(update={"weight_decay": 0.5, "decay": "weights"})
    start = dict(tiny_net().named_parameters())
    for name, value in _trained(recipe, nothing).named_parameters():
        kept = 1.0 if value.ndim == 1 else 1 - 0.1 * 0.5
        assert torch.allclose(value, kept * start[name], atol=1e-7), name
    everything = dict(_trained(recipe.model_copy(update={"decay": "all"}), nothing).named_parameters())
    assert all(torch.allclose(value, 0.95 * start[name], atol=1e-7) for name, value in everything.items())


def test_one_rate_and_one_decay_are_one_group():
    def groups(**changes):
        return len(optimiser_of(tiny_net(), RECIPE.model_copy(update=changes)).param_groups)

    assert groups() == 1
    assert groups(backbone_lr=0.1) == groups(decay="weights") == 2
    assert groups(backbone_lr=0.1, decay="weights") == 4


def test_dropout_is_the_runs_own_and_leaves_torchs_generator_alone():
    def dropping():
        net = tiny_net()
        net.insert(len(net) - 1, nn.Dropout(0.5))
        return net

    seen = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state, net = torch.get_rng_state(), dropping()
        fit(net, blobs(64), RECIPE, SEEDS)
        assert torch.equal(torch.get_rng_state(), state)
        seen.append(weights_of(net))
    assert same_weights(*seen)
    other = dropping()
    fit(other, blobs(64), RECIPE, SEEDS.model_copy(update={"augment": 7}))
    assert not same_weights(seen[0], weights_of(other))
