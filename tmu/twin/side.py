"""One side of the twin problem: samples, the model that has seen them, and kept records of its training set.

Twin side: D_h under M_t, with D as reference. Real side: D_f under M_o, with D_r as reference. One model per side
serves samples and reference alike (a slip of the published code compares two feature spaces).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tmu.config import TwinConfig
from tmu.train import Examples, predict


@dataclass(frozen=True)
class Side:
    """The side's models and outputs, computed once. logits (N, K); phi (N, F) and phi_reference (M, F), L2 norm 1."""

    model: nn.Module
    samples: Examples
    reference_labels: Tensor
    logits: Tensor
    phi: Tensor
    phi_reference: Tensor
    curriculum: list[nn.Module]
    config: TwinConfig
    device: torch.device | str = "cpu"


def make_side(
    model: nn.Module,
    samples: Examples,
    reference: Examples,
    curriculum: list[nn.Module],
    config: TwinConfig,
    device: torch.device | str = "cpu",
) -> Side:
    """Run the models over samples and reference; features are normalised to length one."""
    logits, phi = predict(model, samples.images, device=device)
    _, phi_reference = predict(model, reference.images, device=device)
    unit = torch.nn.functional.normalize
    seen = (model, samples, reference.labels.cpu(), logits, unit(phi), unit(phi_reference))
    return Side(*seen, curriculum, config, device)
