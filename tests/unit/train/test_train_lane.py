"""Device, precision and exactness: what `auto` means, and that a process gets its settings back."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.synthetic import blobs, same_weights, tiny_net, weights_of
from tmu.errors import ConfigError, ModelError
from tmu.models.registry import build
from tmu.train import lane
from tmu.train.lane import autocast, exact, pick_device, pick_precision, precision_for, seed_draws

CPU = torch.device("cpu")


def test_a_named_precision_is_obeyed():
    assert pick_precision("fp32", CPU) == "fp32"
    assert pick_precision("bf16", CPU) == "bf16"


@pytest.mark.parametrize(("gains", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_only_where_the_processor_gains(monkeypatch, gains, precision):
    monkeypatch.setattr(lane, "cpu_gains_from_bf16", lambda: gains)
    assert pick_precision("auto", CPU) == precision


def _halved_to_single_pixels() -> torch.nn.Module:
    """torchvision's network halves images of 8x8 three times, and strides on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build("torchvision/mobilenet_v3_small", (1, 8, 8), 3)


def test_no_bf16_where_a_strided_convolution_sees_a_single_pixel(monkeypatch):
    monkeypatch.setattr(lane, "cpu_gains_from_bf16", lambda: True)
    image, model = blobs(1).images, _halved_to_single_pixels().train()
    before = weights_of(model)
    assert precision_for("auto", model, image) == "fp32"
    assert precision_for("fp32", model, image) == "fp32"
    with pytest.raises(ConfigError, match=r"single pixels.*Set `precision`"):
        precision_for("bf16", model, image)
    assert precision_for("auto", model, image.repeat(1, 1, 16, 16)) == "bf16"
    assert precision_for("auto", tiny_net(), image) == "bf16"
    assert model.training
    assert same_weights(before, weights_of(model))


SINGLE_PIXELS = """
import hashlib
import torch
from torch import nn
from tests.synthetic import CLASSES, RECIPE, SEEDS, blobs
from tmu.train import fit, lane
lane.cpu_gains_from_bf16 = lambda: True
torch.set_num_threads(1)
torch.manual_seed(0)
single = nn.MaxPool2d(8), nn.Conv2d(1, 16, 1), nn.Conv2d(16, 16, 3, 2, 1, groups=16)
model = nn.Sequential(*single, nn.Flatten(), nn.Linear(16, CLASSES))
fit(model, blobs(64), RECIPE.model_copy(update={"precision": "auto"}), SEEDS)
print(hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values())).hexdigest())
"""


def test_such_a_network_trains_to_the_same_weights_whatever_was_in_memory():
    """glibc fills each block that it hands out with the bits of MALLOC_PERTURB_."""
    ended, root = set(), Path(__file__).parents[3]
    for bits in ("1", "165"):
        given = {**os.environ, "MALLOC_PERTURB_": bits}
        child = [sys.executable, "-c", SINGLE_PIXELS]
        done = subprocess.run(child, cwd=root, env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        ended.add(done.stdout)
    assert len(ended) == 1


def test_auto_device_is_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device().type == "cpu"
    assert pick_device("cpu") == CPU


def test_autocast_computes_in_bf16_when_asked():
    layer, x = torch.nn.Linear(4, 4), torch.rand(2, 4)
    with autocast(CPU, "bf16"):
        assert layer(x).dtype == torch.bfloat16
    with autocast(CPU, "fp32"):
        assert layer(x).dtype == torch.float32


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("enabled", "only_warned"), [(False, False), (True, False), (True, True)])
def test_exact_gives_the_settings_back(enabled, only_warned, fails):
    torch.use_deterministic_algorithms(enabled, warn_only=only_warned)
    torch.backends.cudnn.benchmark = True
    try:
        with exact(threads=2):
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
            assert not torch.backends.cudnn.benchmark
            assert torch.get_num_threads() == 2
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    try:
        assert torch.are_deterministic_algorithms_enabled() == enabled
        assert torch.is_deterministic_algorithms_warn_only_enabled() == only_warned
        assert torch.backends.cudnn.benchmark
        assert torch.get_num_threads() == 1
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = False
        torch.set_num_threads(1)


def test_fp32_is_fp32_inside():
    short = torch.backends.cudnn, torch.backends.cuda.matmul
    was = [each.allow_tf32 for each in short]
    try:
        short[0].allow_tf32 = short[1].allow_tf32 = True
        with exact():
            assert not any(each.allow_tf32 for each in short)
        assert all(each.allow_tf32 for each in short)
    finally:
        for each, before in zip(short, was, strict=True):
            each.allow_tf32 = before


def test_an_operation_without_a_deterministic_algorithm_is_named():
    with pytest.raises(ModelError, match=r"`put_` has no deterministic algorithm.*another architecture"), exact():
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    with pytest.raises(RuntimeError, match="size"), exact():  # what else torch says stays as it is
        torch.zeros(3) + torch.zeros(2)


def test_the_draws_of_layers_are_seeded_on_the_device_that_learns(monkeypatch):
    """The current one may be another."""
    current, seeded = [None], []

    @contextlib.contextmanager
    def on(device):
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", on)
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: seeded.append((current[-1], seed)))
    with torch.random.fork_rng(devices=[]):
        seed_draws(torch.device("cuda", 1), 7)
        seed_draws(CPU, 8)
    assert seeded == [(torch.device("cuda", 1), 7)]


def test_bf16_that_a_gpu_would_only_imitate_is_no_gain(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert pick_precision("auto", torch.device("cuda")) == "fp32"
