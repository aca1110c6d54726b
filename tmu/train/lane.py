"""Where and how exactly a run computes: device, precision, threads, deterministic algorithms."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tmu.errors import ConfigError, ModelError

# cuBLAS is deterministic only with a fixed workspace; it must be set before the first CUDA call
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is the GPU where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@functools.cache
def cpu_gains_from_bf16() -> bool:
    """True where the processor multiplies bfloat16 natively (AVX512-BF16 or AMX); elsewhere it would be slower."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def pick_precision(name: str, device: torch.device) -> str:
    """`auto` is bf16 where the hardware gains from it, else fp32."""
    if name != "auto":
        return name
    on_gpu = device.type == "cuda"
    gains = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else cpu_gains_from_bf16()
    return "bf16" if gains else "fp32"


def precision_for(name: str, model: nn.Module, image: Tensor) -> str:
    """`pick_precision` for training `model` on images like `image` (1, C, H, W), uint8, on the device of both.

    On a processor, the bf16 weight gradient of a strided convolution whose input is one pixel high or wide is left
    unwritten wherever the kernel lies on padding: whatever was in memory trains the model (torch 2.13.0 on AVX-512).
    `auto` is then fp32. Raises ConfigError where bf16 was asked for by name.
    """
    precision = pick_precision(name, image.device)
    if precision != "bf16" or image.device.type != "cpu" or not _strides_over_single_pixels(model, image):
        return precision
    if name == "auto":
        return "fp32"
    raise ConfigError(
        "The model reduces these images to single pixels before a convolution with stride, which bf16 cannot train "
        "on a processor.",
        "Set `precision` to `auto` or `fp32`, or use larger images.",
    )


@torch.no_grad()
def _strides_over_single_pixels(model: nn.Module, image: Tensor) -> bool:
    """One forward pass in evaluation mode, which changes no statistics; the model's mode is restored."""
    seen: list[int] = []

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(min(inputs[0].shape[-2:]))

    strided = [part for part in model.modules() if isinstance(part, nn.Conv2d) and max(part.stride) > 1]
    hooks = [part.register_forward_pre_hook(watch) for part in strided if max(part.kernel_size) > 1]
    modes = {part: part.training for part in model.modules()}
    try:
        if hooks:
            model.eval()(image.float() / 255)
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes.items():
            part.training = training
    return 1 in seen


@contextlib.contextmanager
def exact(threads: int | None = None) -> Iterator[None]:
    """Deterministic algorithms, fp32 that is fp32 and a fixed number of threads inside; the process's settings after.

    Without it a GPU computes convolutions of fp32 in TF32, of ten bits. Raises ModelError where an operation has no
    deterministic algorithm on its device.
    """
    was = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), torch.backends.cudnn.benchmark
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic  # its stub lacks the one setting that it has
    filled = settings.fill_uninitialized_memory
    short = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.use_deterministic_algorithms(True)
        settings.fill_uninitialized_memory = False  # we read none; filling it costs a tenth
        torch.backends.cudnn.benchmark = False
        _allow_tf32(False, False)
        if threads is not None and threads != was[1]:
            torch.set_num_threads(threads)
        yield
    except RuntimeError as error:
        refused = _without_kernel(str(error))
        if refused is None:
            raise
        raise refused from error
    finally:
        torch.use_deterministic_algorithms(was[0], warn_only=only_warned)
        settings.fill_uninitialized_memory = filled
        torch.backends.cudnn.benchmark = was[2]
        _allow_tf32(*short)
        if torch.get_num_threads() != was[1]:
            torch.set_num_threads(was[1])


def _allow_tf32(convolutions: bool, products: bool) -> None:
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products


def _without_kernel(said: str) -> ModelError | None:
    """What to say where torch refused an operation that has no deterministic algorithm; None where it said else."""
    operation, found, _ = said.partition(" does not have a deterministic implementation")
    if not found:
        return None
    return ModelError(
        f"`{operation}` has no deterministic algorithm on this device, and the model needs it.",
        "Choose another architecture, or compute on the processor (TMU_DEVICE=cpu).",
    )


@contextlib.contextmanager
def own_draws(device: torch.device) -> Iterator[None]:
    """Inside, what layers draw (dropout) is the run's own; torch's generators are as before after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def seed_draws(device: torch.device, start: int) -> None:
    """Let what layers draw in the next step depend on `start` alone."""
    seed = start & (2**63 - 1)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):  # the current one may be another
            torch.cuda.manual_seed(seed)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision for the forward pass; weights and optimiser stay in fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
