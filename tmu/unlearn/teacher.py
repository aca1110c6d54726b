"""Frozen teachers and the divergence of a student from them."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from tmu.train.memory_format import arrange


def frozen(model: nn.Module, device: torch.device | str) -> nn.Module:
    """A deep copy that neither trains nor moves its statistics."""
    return arrange(copy.deepcopy(model), device).eval().requires_grad_(False)


def divergence(teacher: Tensor, student: Tensor, temperature: float = 1.0) -> Tensor:
    """T² · mean_i KL( teacher_i ‖ student_i ) of logits (B, K) at temperature T. Source: Hinton et al. 2015."""
    taught = (teacher.float() / temperature).log_softmax(1)
    learnt = (student.float() / temperature).log_softmax(1)
    return temperature**2 * kl_div(learnt, taught, reduction="batchmean", log_target=True)
