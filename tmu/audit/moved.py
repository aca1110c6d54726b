"""Did unlearning change the weights? By trained parameters, not by bytes alone.

A step whose optimiser holds the wrong model still runs the right one in training mode, and batch normalisation then
moves its running statistics: the bytes differ and nothing was learned. So the change is
measured on parameters: ||theta_u - theta_o||_2 / ||theta_o||_2, 0 where none moved.
"""

import math

import torch
from torch import nn


def parameters_moved(original: nn.Module, other: nn.Module) -> float:
    """Relative L2 distance of the trained parameters, at least 0; infinite for another architecture."""
    ours, theirs = dict(original.named_parameters()), dict(other.named_parameters())
    if {name: value.shape for name, value in ours.items()} != {name: value.shape for name, value in theirs.items()}:
        return math.inf
    with torch.no_grad():
        change = sum(float((theirs[name].cpu() - value.cpu()).double().square().sum()) for name, value in ours.items())
        size = sum(float(value.double().square().sum()) for value in ours.values())
    return math.sqrt(change / size) if size else math.inf if change else 0.0
