"""DF, the distance feature: a record close to kept records of its class is easy.

Formula: mean of the k smallest Euclidean distances from phi(x) to phi of the reference records of x's class (k = 5),
both under the side's one model. Reference: `docs/method.md`, DF. Cost: one distance matrix a class.
Failure mode: a class with few kept records has a neighbourhood that says little; one with none gets a constant.
"""

import torch
from torch import Tensor

from tmu.twin.side import Side


def compute(side: Side) -> Tensor:
    """Distances (N,); a record whose class has no reference gets the largest distance there is, 2."""
    labels = side.samples.labels.cpu()
    result = torch.full((len(labels),), 2.0)
    for label in labels.unique():
        mine = labels == label
        reference = side.phi_reference[side.reference_labels == label]
        if len(reference):
            result[mine] = nearest(side.phi[mine], reference, min(side.config.neighbours, len(reference)))
    return result


def nearest(phi: Tensor, reference: Tensor, k: int, chunk: int = 4096) -> Tensor:
    """Mean distance (N,) of each row of `phi` to its k nearest of `reference`, `chunk` rows at a time."""
    parts = [torch.cdist(part, reference).topk(k, largest=False).values.mean(1) for part in phi.split(chunk)]
    return torch.cat(parts)
