"""How much a set of records matters to each weight: gradient of its loss, and diagonal Fisher information."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from tmu.train import Examples
from tmu.train.lane import exact
from tmu.train.memory_format import moved

_RECORDS_AT_ONCE = 64  # more is slower on a processor: the gradients leave its cache
_NUMBERS_AT_ONCE = 2**26  # gradients of single records held together: 256 MiB of float32


def mean_gradient(
    model: nn.Module, examples: Examples, device: torch.device | str, batch_size: int = 512
) -> dict[str, Tensor]:
    """Gradient of mean CE on the true labels by parameter name, without augmentation, in evaluation mode and fp32."""
    moved(model, device).eval()
    parameters = dict(model.named_parameters())
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    with exact():
        for views, labels in _batches(examples, device, batch_size):
            loss = cross_entropy(model(views), labels, reduction="sum") / len(examples)
            for name, part in zip(total, torch.autograd.grad(loss, list(parameters.values())), strict=True):
                total[name] += part
    return total


def diagonal_fisher(model: nn.Module, examples: Examples, device: torch.device | str) -> dict[str, Tensor]:
    """Mean over records of the squared gradient of the record's own CE, by parameter name; as `mean_gradient` else.

    Source: the diagonal of the empirical Fisher information (Foster et al. 2024, eq. 5). Squares of batch gradients,
    as public codes take them, shrink with the batch and are not it.
    """
    moved(model, device).eval()
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    statistics = dict(model.named_buffers())

    def loss(weights: dict[str, Tensor], view: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(functional_call(model, (weights, statistics), (view[None],)), label[None])

    of_each = vmap(grad(loss), in_dims=(None, 0, 0))
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    at_once = max(1, min(_RECORDS_AT_ONCE, _NUMBERS_AT_ONCE // sum(value.numel() for value in parameters.values())))
    with exact():
        for views, labels in _batches(examples, device, at_once):
            for name, part in of_each(parameters, views, labels).items():
                total[name] += part.square().sum(0) / len(examples)
    return total


def _batches(examples: Examples, device: torch.device | str, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(examples), size):
        rows = slice(start, start + size)
        yield examples.images[rows].to(device).float() / 255, examples.labels[rows].to(device)
