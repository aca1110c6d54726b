"""Device, precision and exactness: what `auto` means, and that a process gets its settings back."""

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.errors import ConfigError
from tmu.models.registry import build
from tmu.train import fit, lane
from tmu.train.lane import autocast, exact, pick_device, pick_precision, precision_for

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


def test_such_a_network_trains_to_the_same_weights_whatever_was_in_memory(monkeypatch):
    monkeypatch.setattr(lane, "cpu_gains_from_bf16", lambda: True)
    ended = []
    for junk in (float("nan"), 1e30, 0.0):
        model = _halved_to_single_pixels()

        def leave(*_: object, junk: float = junk, model: torch.nn.Module = model) -> None:
            for value in model.parameters():  # freed at once: the next gradients are likely to get this memory
                torch.full_like(value, junk), torch.full_like(value, junk, dtype=torch.bfloat16)

        with torch.random.fork_rng(devices=[]):  # the network's dropout draws from torch's own generator
            torch.manual_seed(0)
            fit(model, blobs(64), RECIPE.model_copy(update={"precision": "auto"}), SEEDS, after_step=leave)
        ended.append(weights_of(model))
    assert same_weights(ended[0], ended[1])
    assert same_weights(ended[0], ended[2])


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
