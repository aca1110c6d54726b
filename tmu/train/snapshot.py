"""Snapshots of a run in progress: kill -9 at any moment and the resumed run ends in the same weights.

A snapshot holds tensors (weights, batch-norm statistics, the optimiser's state, averaged and best weights) in one
safetensors file with its counters in the header. Order, augmentation, noise and dropout are functions of (seed, epoch,
step), so there is no generator state to keep.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tmu.files import write_atomic

Kept = dict[str, dict[str, Tensor]]  # further weights by what they are


def save_snapshot(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, counters: dict[str, Any], kept: Kept | None = None
) -> None:
    """Write the state after a finished step; the file is replaced in one move."""
    state = {str(row): each for row, each in enumerate(_states(optimiser))}
    parts = {"model": model.state_dict()} | {f"optimiser.{row}": each for row, each in state.items()}
    parts |= {f"kept.{name}": each for name, each in (kept or {}).items()}
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous()
        for part, each in parts.items()
        for name, value in each.items()
        if value is not None
    }
    write_atomic(path, save(tensors, {"counters": json.dumps(counters, sort_keys=True)}))


def load_snapshot(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, fingerprint: str
) -> tuple[dict[str, Any] | None, Kept]:
    """Restore model and optimiser; the counters and what else was kept. None where none of this very run is there."""
    try:
        with safe_open(path, framework="pt") as file:
            counters = json.loads((file.metadata() or {}).get("counters", "{}"))
            if counters.get("fingerprint") != fingerprint:
                return None, {}  # another run's leftovers: start anew
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (FileNotFoundError, SafetensorError, json.JSONDecodeError):
        return None, {}
    parts: Kept = {}
    for path_, value in tensors.items():
        part, _, name = path_.partition("/")
        parts.setdefault(part, {})[name] = value
    model.load_state_dict(parts["model"])
    for row, parameter in enumerate(_parameters(optimiser)):
        for name, value in parts.get(f"optimiser.{row}", {}).items():
            optimiser.state[parameter][name] = _like(parameter, value)
    return counters, {part[5:]: each for part, each in parts.items() if part.startswith("kept.")}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """On the parameter's device and, where it is of its shape, in its memory format."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def _states(optimiser: torch.optim.Optimizer) -> list[dict[str, Tensor]]:
    return [optimiser.state.get(parameter, {}) for parameter in _parameters(optimiser)]


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
