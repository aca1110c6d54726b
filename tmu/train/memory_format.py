"""Which memory format a model computes in: channels last, except where that is not safe.

On a processor, oneDNN computes the weight gradient of a 1x1 convolution with stride by first copying the pixels it
needs into a workspace. Where the input lies channels last and has fewer channels than a block (8 with AVX2, 16 with
AVX-512), it writes past the end of that workspace: the process crashes, hangs, or goes on with wrong gradients. On
AVX2 any image size shows it, on AVX-512 images of 56x56 and more. Contiguous inputs are not affected, and no other
kernel size, stride or grouping that was tried is. Source: uxlfoundation/oneDNN issue 6035, open in torch 2.13.0.

The choice depends on the model and on the kind of device alone, never on the processor: a model's weights must not
depend on which machine of a kind trained it. A network that itself permutes activations to channels last is not seen.
"""

import torch
from torch import Tensor, nn

_BLOCK = 16  # channels of the widest block, AVX-512's


def memory_format(model: nn.Module, device: torch.device | str) -> torch.memory_format:
    """Contiguous for a model with a convolution that is not safe in channels last on `device`; else channels last."""
    if torch.device(device).type == "cpu" and any(_at_risk(module) for module in model.modules()):
        return torch.contiguous_format
    return torch.channels_last


def arrange(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move `model` in place to `device` and into its memory format; returns it. For training and frozen teachers."""
    return model.to(device=device, memory_format=memory_format(model, device))  # type: ignore[call-overload]


def moved(model: nn.Module, device: torch.device | str) -> nn.Module:
    """Move `model` in place to `device`, its weights as they lie unless that is not safe; returns it."""
    return arrange(model, device) if memory_format(model, device) == torch.contiguous_format else model.to(device)


def arranged(views: Tensor, model: nn.Module) -> Tensor:
    """Views (N, C, H, W) in the memory format that `model` computes in on their device.

    Views of one channel lie both ways at once, and oneDNN takes the format from the strides: contiguous ones are made
    whole, so that a model that must stay out of channels last is never given it.
    """
    chosen = memory_format(model, views.device)
    views = views.contiguous(memory_format=chosen)
    if chosen == torch.channels_last:
        return views
    return views.as_strided(views.shape, torch.empty(views.shape, device="meta").stride())


def _at_risk(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d):
        return False
    pointwise, strided = max(module.kernel_size) == 1, max(module.stride) > 1
    return pointwise and strided and module.groups == 1 and module.in_channels < _BLOCK
