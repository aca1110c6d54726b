"""Device, precision and exactness: what `auto` means, and that a process gets its settings back."""

import pytest
import torch

from tmu.train import lane
from tmu.train.lane import autocast, exact, pick_device, pick_precision

CPU = torch.device("cpu")


def test_a_named_precision_is_obeyed():
    assert pick_precision("fp32", CPU) == "fp32"
    assert pick_precision("bf16", CPU) == "bf16"


@pytest.mark.parametrize(("gains", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_only_where_the_processor_gains(monkeypatch, gains, precision):
    monkeypatch.setattr(lane, "cpu_gains_from_bf16", lambda: gains)
    assert pick_precision("auto", CPU) == precision


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
