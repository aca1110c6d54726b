"""The recipe of airbench94 in plain PyTorch, written from its paper (`airbench_net.py`); the variant without compiling.

Nesterov SGD with decoupled rate and decay and a triangular schedule, biases of the normalisation 64 times as fast, the
whitening's bias for three epochs, lookahead every five steps, shifts by two pixels, flips that alternate from epoch to
epoch, half precision on a GPU.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.gpu_speed.airbench_net import Airbench, Norm
from tmu.models.registry import Normalise
from tmu.train.memory_format import arrange

_RATE, _DECAY, _MOMENTUM, _BATCH, _SMOOTHING = 11.5, 0.0153, 0.85, 1024, 0.2
_BIAS, _BIAS_EPOCHS, _REACH = 64.0, 3, 2
_KEPT, _EVERY = 0.95, 5  # of lookahead: what stays in a step, at the end; steps between two looks
_START, _PEAK, _END = 0.2, 0.23, 0.07  # first and last share of the rate, and where its peak is


@dataclass(frozen=True)
class Given:
    """Pictures uint8 (N, 3, 32, 32) and labels, where they are learned."""

    images: Tensor
    labels: Tensor
    classes: int
    widths: tuple[int, int, int]
    epochs: float


def prepared(images: Tensor) -> Tensor:
    """Pictures uint8 as the network gets them: normalised, in half precision on a GPU, channels last."""
    kind = torch.float16 if images.is_cuda else torch.float32
    return Normalise()(images.float() / 255).to(kind).contiguous(memory_format=torch.channels_last)


def learned(given: Given) -> nn.Module:
    """A trained network, in evaluation mode; its draws are of torch's generators, so seed them before."""
    pixels, labels = prepared(given.images), given.labels
    net = Airbench(given.classes, given.widths, normalise=False).to(pixels.device).see(pixels.float())
    arrange(net, pixels.device).to(pixels.dtype)
    for module in net.modules():
        if isinstance(module, Norm):
            module.float()
    size = min(_BATCH, len(pixels))
    per_epoch = len(pixels) // size
    steps = math.ceil(per_epoch * given.epochs)
    optimiser, slow = _optimiser(net), _weights(net)
    mirrored = torch.rand(len(pixels), device=pixels.device) < 0.5
    net.train()
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        if not place:
            views, mirrored = _views(pixels, mirrored), ~mirrored
            order = torch.randperm(len(pixels), device=pixels.device).split(size)
            net.whiten.bias.requires_grad_(epoch < _BIAS_EPOCHS)
        rows = order[place]
        _set_rate(optimiser, step / steps)
        _step(net, optimiser, views[rows], labels[rows])
        if (step + 1) % _EVERY == 0:
            _look_ahead(net, slow, _KEPT**_EVERY * ((step + 1) / steps) ** 3)
    _look_ahead(net, slow, 1.0)
    return net.eval()


def _step(net: nn.Module, optimiser: torch.optim.Optimizer, views: Tensor, labels: Tensor) -> None:
    loss = F.cross_entropy(net(views).float(), labels, label_smoothing=_SMOOTHING, reduction="sum")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def _optimiser(net: nn.Module) -> torch.optim.Optimizer:
    """Rates are of a loss that is summed over the batch."""
    unit = _BATCH * (1 + 1 / (1 - _MOMENTUM))
    rate, decay = _RATE / unit, _DECAY * _BATCH / unit
    norms = [module.bias for module in net.modules() if isinstance(module, Norm)]
    known = {id(each) for each in norms}
    others = [each for each in net.parameters() if each.requires_grad and id(each) not in known]
    groups = [
        {"params": others, "lr": rate, "peak": rate, "weight_decay": decay / rate},
        {"params": norms, "lr": _BIAS * rate, "peak": _BIAS * rate, "weight_decay": decay / (_BIAS * rate)},
    ]
    return torch.optim.SGD(groups, momentum=_MOMENTUM, nesterov=True)


def _set_rate(optimiser: torch.optim.Optimizer, done: float) -> None:
    up = _START + (1 - _START) * done / _PEAK
    down = 1 - (1 - _END) * (done - _PEAK) / (1 - _PEAK)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * min(up, down)


def _views(pixels: Tensor, mirrored: Tensor) -> Tensor:
    """Each picture shifted by up to two pixels, drawn anew, and mirrored where told."""
    n, _, height, width = pixels.shape
    at = pixels.device
    wide = F.pad(pixels, (_REACH,) * 4, mode="reflect").permute(0, 2, 3, 1)
    down, right = (torch.randint(0, 2 * _REACH + 1, (n, 1), device=at) for _ in range(2))
    rows, columns = down + torch.arange(height, device=at), right + torch.arange(width, device=at)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    record = torch.arange(n, device=at)[:, None, None]
    return wide[record, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # memory stays channels last


def _weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items() if value.is_floating_point()}


@torch.no_grad()
def _look_ahead(net: nn.Module, slow: dict[str, Tensor], kept: float) -> None:
    """The slow weights go a part of the way to the fast ones, which then begin again from there."""
    fast = net.state_dict()
    for name, value in slow.items():
        value.lerp_(fast[name], 1 - kept)
        fast[name].copy_(value)
