"""The optimiser of a recipe, and what it moves: all weights alike, the backbone slower than the head, or not at all.

The head is the last linear layer, the backbone all below it. A frozen backbone keeps its weights and the statistics of
its normalisation bit for bit; dropout in it stays as it is in training.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from tmu.config import TrainConfig
from tmu.models.registry import head_of

_BETA2 = 0.999  # of AdamW: mean of squared gradients


def trained(model: nn.Module, config: TrainConfig) -> dict[str, nn.Parameter]:
    """The parameters that a recipe moves, by name in the model's order: all, or those of the head."""
    named = dict(model.named_parameters())
    if config.backbone_lr:
        return named
    head = {id(parameter) for parameter in head_of(model).parameters()}
    return {name: parameter for name, parameter in named.items() if id(parameter) in head}


@contextmanager
def only_trained(model: nn.Module, config: TrainConfig) -> Iterator[None]:
    """Inside, a model in training mode has gradients for what the recipe moves, and keeps a frozen part's statistics.

    After it, parameters ask for gradients as they did before.
    """
    moved = {id(parameter) for parameter in trained(model, config).values()}
    still = [parameter for parameter in model.parameters() if id(parameter) not in moved and parameter.requires_grad]
    for parameter in still:
        parameter.requires_grad_(False)
    if not config.backbone_lr:
        for module in model.modules():
            if isinstance(module, _NormBase):
                module.eval()
    try:
        yield
    finally:
        for parameter in still:
            parameter.requires_grad_(True)


def optimiser_of(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The recipe's optimiser over what it moves; `factor` of a group multiplies the rate of each step."""
    groups = _groups(model, config)
    if config.optimiser == "adamw":
        betas = (config.momentum, _BETA2)
        return torch.optim.AdamW(groups, lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        groups,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
        fused=True,
    )


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step, by group."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]


def _groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters in as few groups as there are rates and decays, in the order in which the model has them."""
    head = {id(parameter) for parameter in head_of(model).parameters()}
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for parameter in trained(model, config).values():
        factor = 1.0 if id(parameter) in head else config.backbone_lr
        decays = config.decay == "all" or parameter.ndim > 1  # biases and normalisation are vectors
        groups.setdefault((factor, config.weight_decay if decays else 0.0), []).append(parameter)
    return [{"params": each, "factor": factor, "weight_decay": decay} for (factor, decay), each in groups.items()]
