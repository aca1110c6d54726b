"""Every architecture: shapes, sizes, gradients, penultimate features, repeatable initial weights."""

import itertools

import pytest
import torch
from torch import nn

from tmu.errors import ConfigError, ModelError
from tmu.models.registry import build, head_of, names, penultimate

CASES = [
    ("small_resnet", {"width": 16}, (1, 8, 8), 77_754),
    ("small_resnet", {"width": 32}, (3, 32, 32), 308_650),
    ("small_resnet", {}, (1, 28, 28), 77_754),
    ("resnet9", {"width": 8}, (1, 8, 8), 103_810),
    ("resnet9", {}, (3, 32, 32), 6_573_130),
    ("resnet18", {}, (3, 32, 32), 11_173_962),
    ("torchvision/shufflenet_v2_x0_5", {}, (1, 28, 28), 352_042),
]
SMALL = [case for case in CASES if case[3] < 400_000]


@pytest.mark.parametrize(("name", "options", "shape", "count"), CASES)
def test_parameter_count(name, options, shape, count):
    assert sum(parameter.numel() for parameter in build(name, shape, 10, options).parameters()) == count


@pytest.mark.parametrize(("name", "options", "shape", "count"), SMALL)
def test_every_parameter_gets_a_gradient(name, options, shape, count):
    model = build(name, shape, 7, options)
    logits = model(torch.rand(4, *shape))
    assert logits.shape == (4, 7)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(("name", "options", "shape", "count"), SMALL)
def test_channels_last_under_bf16_agrees(name, options, shape, count):
    torch.manual_seed(0)
    model, x = build(name, shape, 7, options).eval(), torch.rand(4, *shape)
    plain = model(x)
    model = model.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        quick = model(x.contiguous(memory_format=torch.channels_last))
    assert quick.dtype == torch.bfloat16
    assert torch.allclose(plain, quick.float(), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(("name", "options", "shape", "count"), SMALL)
def test_penultimate_is_what_the_head_sees(name, options, shape, count):
    model, x = build(name, shape, 7, options).eval(), torch.rand(3, *shape)
    logits, features = penultimate(model, x)
    assert features.shape == (3, head_of(model).in_features)
    assert torch.equal(logits, model(x))
    assert torch.equal(head_of(model)(features), logits)
    assert not head_of(model)._forward_pre_hooks  # nothing stays behind


def test_initial_weights_depend_on_the_generator_alone():
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(build("small_resnet", (1, 8, 8), 10).state_dict())
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_normalisation_has_no_state():
    model = build("small_resnet", (1, 8, 8), 10)
    assert not list(itertools.chain(model[0].parameters(), model[0].buffers()))
    assert torch.equal(model[0](torch.tensor([0.0, 0.5, 1.0])), torch.tensor([-2.0, 0.0, 2.0]))


def test_a_new_file_is_found_without_being_named():
    assert {"small_resnet", "resnet9", "resnet18", "torchvision/<name>"} <= set(names())


@pytest.mark.parametrize("name", ["nothing", "torchvision/", "torchvision/nothing", "small_resnet/x"])
def test_unknown_name_is_refused(name):
    with pytest.raises(ModelError, match=r"no (architecture|classifier)"):
        build(name, (3, 32, 32), 10)


def test_unknown_option_lists_the_known():
    with pytest.raises(ConfigError, match="Known options: width"):
        build("small_resnet", (1, 8, 8), 10, {"depth": 3})
    with pytest.raises(ConfigError, match="Known options: none"):
        build("resnet18", (1, 8, 8), 10, {"depth": 3})
    with pytest.raises(ConfigError, match="depth"):
        build("torchvision/shufflenet_v2_x0_5", (3, 32, 32), 10, {"depth": 3})


@pytest.mark.parametrize("width", [0, -1, 1.5, "16", True])
def test_bad_width_is_refused(width):
    with pytest.raises(ConfigError, match="width"):
        build("small_resnet", (1, 8, 8), 10, {"width": width})


def test_torchvision_refuses_weights_and_strange_channels():
    with pytest.raises(ConfigError, match="weights"):
        build("torchvision/resnet18", (3, 32, 32), 10, {"weights": "DEFAULT"})
    with pytest.raises(ModelError, match="channels"):
        build("torchvision/resnet18", (2, 32, 32), 10)


def test_an_architecture_without_a_linear_head_is_refused():
    with pytest.raises(ModelError, match=r"nn\.Linear"):
        build("torchvision/squeezenet1_1", (3, 32, 32), 10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_pool_of_resnet9_is_the_adaptive_one_bit_for_bit_with_its_gradient(dtype, layout):
    """With ties, whose gradient goes to the first of the highest."""
    pool = next(part for part in build("resnet9", (3, 16, 16), 3, {"width": 4}) if type(part).__name__ == "_Highest")
    whole = torch.randint(0, 3, (4, 8, 5, 3), generator=torch.Generator().manual_seed(0))
    found = []
    for layer in (pool, nn.AdaptiveMaxPool2d(1)):
        x = whole.to(dtype).contiguous(memory_format=layout).requires_grad_(True)
        y = layer(x)
        (y * torch.arange(1, 9, dtype=dtype)[:, None, None]).sum().backward()
        found.append((y.detach(), x.grad))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found, strict=True))
