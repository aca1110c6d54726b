"""Snapshots of a run in progress: kill -9 at any moment and the resumed run ends in the same weights.

A snapshot holds tensors (weights, batch-norm statistics, momentum) in one safetensors file with its counters in the
header. Order, augmentation and noise are functions of (seed, epoch, step), so there is no generator state to keep.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tmu.files import write_atomic


def save_snapshot(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, counters: dict[str, Any]) -> None:
    """Write the state after a finished step; the file is replaced in one move."""
    tensors = {f"model.{name}": value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    for row, parameter in enumerate(_parameters(optimiser)):
        momentum = optimiser.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{row}"] = momentum.detach().cpu().contiguous()
    write_atomic(path, save(tensors, {"counters": json.dumps(counters, sort_keys=True)}))


def load_snapshot(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, fingerprint: str
) -> dict[str, Any] | None:
    """Restore model and optimiser and return the counters; None where no snapshot of this very run is there."""
    try:
        with safe_open(path, framework="pt") as file:
            counters = json.loads((file.metadata() or {}).get("counters", "{}"))
            if counters.get("fingerprint") != fingerprint:
                return None  # another run's leftovers: start anew
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (FileNotFoundError, SafetensorError, json.JSONDecodeError):
        return None
    model.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    for row, parameter in enumerate(_parameters(optimiser)):
        if f"momentum.{row}" in tensors:
            momentum = torch.empty_like(parameter)  # keeps the parameter's memory format
            optimiser.state[parameter]["momentum_buffer"] = momentum.copy_(tensors[f"momentum.{row}"])
    return counters


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
