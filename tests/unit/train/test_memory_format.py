"""The memory format: which models keep out of channels last, and that every path that trains or attacks obeys.

The faults are met in child processes, since a heap that is written past its end takes the process with it. Capping
oneDNN's instruction set makes a processor with AVX-512 behave as one with AVX2 only.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.synthetic import tiny_net
from tmu.models.registry import build
from tmu.train.memory_format import arrange, arranged, memory_format, moved

# glibc then checks each block that is freed, so that one byte too far is enough to end the process
_CHECKED_HEAP = Path("/lib/x86_64-linux-gnu/libc_malloc_debug.so.0")


def _ends_well(script: str, instructions: str | None) -> None:
    """Run `script` in a child, with oneDNN's instruction set capped where `instructions` names one."""
    given = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    if instructions:
        given["ONEDNN_MAX_CPU_ISA"] = instructions
    if _CHECKED_HEAP.exists():
        given |= {"LD_PRELOAD": str(_CHECKED_HEAP), "MALLOC_CHECK_": "3"}
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, env=given, capture_output=True, text=True)
    assert done.returncode == 0, f"ended with {done.returncode} after: {done.stdout[-200:]}\n{done.stderr[-2000:]}"
    assert done.stdout.endswith("done\n")


@pytest.mark.parametrize(
    ("convolution", "safe"),
    [
        (nn.Conv2d(4, 8, 1, stride=2), False),
        (nn.Conv2d(15, 8, 1, stride=(1, 2)), False),
        (nn.Conv2d(16, 8, 1, stride=2), True),
        (nn.Conv2d(4, 8, 1), True),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1), True),
        (nn.Conv2d(8, 8, 1, stride=2, groups=8), True),
    ],
)
def test_strided_pointwise_convolutions_of_few_channels_are_not_safe(convolution, safe):
    expected = torch.channels_last if safe else torch.contiguous_format
    assert memory_format(nn.Sequential(nn.Identity(), convolution), "cpu") == expected
    assert memory_format(convolution, "cuda") == torch.channels_last


def test_the_default_networks_stay_in_channels_last():
    for name, options in (("small_resnet", {}), ("resnet9", {}), ("torchvision/resnet18", {})):
        assert memory_format(build(name, (3, 32, 32), 10, options), "cpu") == torch.channels_last


@pytest.mark.parametrize("place", [arrange, moved])
def test_a_narrow_model_leaves_channels_last_whole(place):
    """Weights of 1x1 kernels, too: torch reads the format off their strides."""
    model = place(tiny_net(width=4).to(memory_format=torch.channels_last), "cpu")
    fresh = dict(tiny_net(width=4).named_parameters())
    assert all(value.stride() == fresh[name].stride() for name, value in model.named_parameters())
    views = torch.rand(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert arranged(views, model).is_contiguous()


def test_views_of_one_channel_are_contiguous_by_their_strides_too():
    """They are contiguous and channels last at once, and oneDNN goes by the strides."""
    pixels = torch.rand(4, 8, 8, 1).permute(0, 3, 1, 2)
    assert pixels.is_contiguous()
    assert pixels.stride() != (64, 64, 8, 1)
    placed = arranged(pixels, tiny_net(width=4))
    assert placed.stride() == (64, 64, 8, 1)
    assert torch.equal(placed, pixels)


def test_a_wide_model_is_trained_in_channels_last_and_otherwise_left_as_it_lies():
    wide = tiny_net(width=16)
    kernel = wide.get_parameter("3.first.0.weight")
    assert moved(wide, "cpu").get_parameter("3.first.0.weight").is_contiguous()
    assert arrange(wide, "cpu") is wide
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert arranged(torch.rand(4, 3, 8, 8), wide).is_contiguous(memory_format=torch.channels_last)


GRADIENTS = """
from dataclasses import replace
import torch
from tests.synthetic import RECIPE, SEEDS, blobs, tiny_net
from tmu.train import fit
from tmu.unlearn.importance import diagonal_fisher, mean_gradient
from tmu.unlearn.sfr_on import ForgetStep, Options
torch.set_num_threads(1)
some = blobs(160)
for width in (2, 3, 4, 5, 7, 12):
    print("width", width, flush=True)
    report = fit(tiny_net(width=width), some, RECIPE.model_copy(update={"epochs": 4}), SEEDS)
    assert report.history[-1]["loss"] < report.history[0]["loss"]
shown = RECIPE.model_copy(update={"epochs": 4, "augment": "flip_shift"})
for width in (2, 4, 7):
    print("width", width, "with views", flush=True)
    fit(tiny_net(width=width), some, shown, SEEDS)
few = blobs(16)
large = replace(few, images=few.images.repeat(1, 1, 8, 8))
for width in (4, 8, 12):
    print("width", width, "on large images", flush=True)
    fit(tiny_net(width=width), large, RECIPE.model_copy(update={"epochs": 3}), SEEDS)
for turn in range(10):
    print("importance", turn, flush=True)
    lying = tiny_net().to(memory_format=torch.channels_last)  # as a caller may hand it over
    ones = {name: torch.ones_like(value) for name, value in diagonal_fisher(lying, few, "cpu").items()}
    mean_gradient(tiny_net().to(memory_format=torch.channels_last), few, "cpu")
    print("forget step", turn, flush=True)
    ForgetStep(some, ones, Options(every=1, lr=1e-3), RECIPE, SEEDS, 9)(tiny_net().train(), 1)
print("done")
"""

SCAN = """
import torch
from torch import nn
from tmu.train.memory_format import arrange, arranged
torch.set_num_threads(1)
torch.manual_seed(0)
# (channels in, out, kernel, stride, groups)
narrow = [(c, 8, 1, 2, 1) for c in (1, 2, 4, 7, 9, 12, 15, 17, 24)] + [(4, 4, 1, (2, 1), 1), (3, 64, 1, 4, 1)]
grouped = [(8, 8, 1, 2, 2), (6, 6, 1, 2, 6), (12, 12, 3, 2, 4), (9, 9, 3, 2, 9), (24, 24, 5, 2, 24), (7, 7, 3, 1, 7)]
kernels = [(c, 8, k, 2, 1) for c in (1, 3, 5) for k in (2, 3, 5, 7)] + [(3, 8, 3, 1, 1), (5, 8, 1, 1, 1)]
for case in narrow + grouped + kernels:
    print(case, flush=True)
    inputs, outputs, kernel, stride, groups = case
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    exact = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False).double()
    exact.load_state_dict({"weight": layer.weight.double()})
    arrange(layer, "cpu")
    for turn, size in enumerate((8, 14, 9, 64, 8, 14, 9, 64)):
        x = torch.rand(8, inputs, size, size)
        views = arranged(x, layer).clone().requires_grad_()
        answer = layer(views)
        out = torch.rand(answer.shape)
        layer.zero_grad(), exact.zero_grad()
        answer.backward(out)
        truth = x.double().requires_grad_()
        exact(truth).backward(out.double())
        assert torch.allclose(layer.weight.grad.double(), exact.weight.grad, rtol=1e-4, atol=1e-3)
        assert torch.allclose(views.grad.double(), truth.grad, rtol=1e-4, atol=1e-3)
print("done")
"""


@pytest.mark.parametrize("instructions", ["AVX2", None])
@pytest.mark.parametrize("script", [GRADIENTS, SCAN], ids=["gradients", "scan"])
def test_narrow_models_compute_on_every_processor(script, instructions):
    _ends_well(script, instructions)
