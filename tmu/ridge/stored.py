"""Statistics as a safetensors file."""

from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from tmu.errors import DataError
from tmu.ridge.statistics import Statistics

NAME = "statistics.safetensors"


def to_bytes(statistics: Statistics) -> bytes:
    """Equal statistics give equal bytes."""
    return save({each.name: getattr(statistics, each.name).contiguous() for each in fields(statistics)})


def read(path: Path) -> Statistics:
    """The statistics of a file. Raises DataError where it holds something else."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path.name} is not readable.", "Compute the statistics anew: train again.") from error
    if set(tensors) != {each.name for each in fields(Statistics)}:
        raise DataError(f"{path.name} holds no statistics of a ridge head.", "Use a file written by tmu.")
    found = Statistics(**tensors)
    side, whole = len(found.high), all(each.dtype == torch.int64 for each in tensors.values())
    square = all(each.shape == (side, side) for each in (found.high, found.cross, found.low))
    if not whole or not square or found.counts.dim() != 1 or found.sums.shape != (side, len(found.counts)):
        raise DataError(f"The tensors of {path.name} do not fit each other.", "Use a file written by tmu.")
    return found
