"""Winograd's convolutions: the values and gradients of the direct ones, and who gets them."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from tests.synthetic import RECIPE, SEEDS, blobs
from tmu.train import fit, winograd
from tmu.train.winograd import convolved, fewer_products

CPU = torch.device("cpu")


@pytest.fixture
def on_avx2(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


class _Standardised(nn.Conv2d):
    """A kind of another library, which changes its weights in each pass."""


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    wide = nn.Conv2d(128, 128, 3, padding=1)
    body = nn.Sequential(nn.Conv2d(1, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(), wide, nn.BatchNorm2d(128))
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 3))


@pytest.mark.parametrize(("height", "width"), [(4, 4), (1, 3), (7, 14), (9, 8)])
def test_values_and_gradients_are_those_of_a_convolution(height, width):
    x = torch.randn(3, 5, height, width, dtype=torch.float64)
    weight, back = torch.randn(7, 5, 3, 3, dtype=torch.float64), torch.randn(3, 7, height, width)
    found = []
    for of, kind in ((lambda a, b: conv2d(a, b, padding=1), torch.float64), (convolved, torch.float32)):
        inputs = [value.to(kind).requires_grad_() for value in (x, weight)]
        out = of(*inputs)
        found.append([out, *torch.autograd.grad(out, inputs, back.to(kind))])
    for direct, ours in zip(*found, strict=True):
        assert ours.shape == direct.shape
        torch.testing.assert_close(ours.double(), direct, rtol=1e-4, atol=1e-4 * float(direct.detach().abs().max()))


def test_double_precision_leaves_no_more_than_rounding(monkeypatch):
    """The matrices are exact: what is left of the difference is of the precision, not of the method."""
    monkeypatch.setattr(winograd, "_along", lambda size: tuple(part.double() for part in _along(size)))
    along = torch.tensor(winograd._WEIGHTS, dtype=torch.float64)
    monkeypatch.setattr(winograd, "_of_weights", lambda: torch.kron(along, along))
    x, weight = torch.randn(2, 4, 8, 8).double(), torch.randn(6, 4, 3, 3).double()
    torch.testing.assert_close(convolved(x, weight), conv2d(x, weight, padding=1), rtol=0, atol=1e-12)


_along = winograd._along


@pytest.mark.parametrize(
    ("part", "may"),
    [
        (nn.Conv2d(128, 128, 3, padding=1), True),
        (nn.Conv2d(64, 128, 3, padding=1), False),
        (nn.Conv2d(128, 64, 3, padding=1), False),
        (nn.Conv2d(128, 128, 3), False),
        (nn.Conv2d(128, 128, 3, padding="same"), False),
        (nn.Conv2d(128, 128, 3, padding=1, stride=2), False),
        (nn.Conv2d(128, 128, 3, padding=1, groups=2), False),
        (nn.Conv2d(128, 128, 3, padding=2, dilation=2), False),
        (nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect"), False),
        (nn.Conv2d(128, 128, 1), False),
        (_Standardised(128, 128, 3, padding=1), False),
    ],
)
def test_who_may_gain(on_avx2, part, may):
    with fewer_products(part, "fp32", CPU):
        assert ("forward" in vars(part)) is may


def _used(monkeypatch, model, x, precision="fp32"):
    """How often a pass of the model is computed this way."""
    calls = []
    given = convolved
    monkeypatch.setattr(winograd, "convolved", lambda *each: calls.append(1) or given(*each))
    with fewer_products(model, precision, CPU):
        model(x)
    return len(calls)


def test_it_is_for_training_in_fp32_with_enough_tiles(on_avx2, monkeypatch):
    many, few = torch.rand(32, 1, 8, 8), torch.rand(31, 1, 8, 8)
    assert _used(monkeypatch, _net(), many) == 1
    assert _used(monkeypatch, _net(), few) == 0
    assert _used(monkeypatch, _net(), torch.rand(2, 1, 33, 33)) == 0
    assert _used(monkeypatch, _net().eval(), many) == 0
    assert _used(monkeypatch, _net(), many, "bf16") == 0


def test_a_processor_with_avx512_keeps_its_own_kernels(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert _used(monkeypatch, _net(), torch.rand(32, 1, 8, 8)) == 0


def test_a_training_by_it_is_repeatable_near_the_direct_one_and_leaves_the_model_as_it_was(on_avx2, monkeypatch):
    recipe = RECIPE.model_copy(update={"epochs": 1, "batch_size": 32, "precision": "fp32"})
    nets = [_net() for _ in range(3)]
    for number, net in enumerate(nets):
        if number == 2:
            monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
        fit(net, blobs(64), recipe, SEEDS)
        assert not any("forward" in vars(part) for part in net.modules())
    first, again, direct = (net[0][3].weight for net in nets)
    assert torch.equal(first, again)
    assert not torch.equal(first, direct)
    torch.testing.assert_close(first, direct, rtol=0, atol=1e-3)
