"""Where and how exactly a run computes: device, precision, threads, deterministic algorithms."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path

import torch

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
    gains = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_gains_from_bf16()
    return "bf16" if gains else "fp32"


@contextlib.contextmanager
def exact(threads: int | None = None) -> Iterator[None]:
    """Deterministic algorithms and a fixed number of threads inside; the process's settings are restored after."""
    was = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), torch.backends.cudnn.benchmark
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # we read none; filling it costs a tenth
        torch.backends.cudnn.benchmark = False
        if threads is not None and threads != was[1]:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.use_deterministic_algorithms(was[0], warn_only=only_warned)
        torch.utils.deterministic.fill_uninitialized_memory = filled
        torch.backends.cudnn.benchmark = was[2]
        if torch.get_num_threads() != was[1]:
            torch.set_num_threads(was[1])


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision for the forward pass; weights and optimiser stay in fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
