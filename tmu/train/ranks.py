"""One training by several processes, the ranks: each computes its part of every batch, and all take the same step.

Gradients are averaged, weighted by the parts' sizes, so that a step is the whole batch's up to the order of its sums.
Batch norm is the exception: each rank normalises by the statistics of its part, and the running statistics are the
average of the ranks'. A model is therefore one of its world size: original and gold are trained with the same.

Gradients are summed here after the backward pass, not by a wrapper around the model, so that objectives, hooks,
snapshots and the engine see the model itself. Source: synchronous data-parallel SGD as in Li et al. 2020
(arXiv 2006.15704), without the overlap of summing and backward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tmu.errors import DataError

PATIENCE = 120.0  # seconds in which a rank must hear of the others


@dataclass(frozen=True)
class Ranks:
    """rank: of this process, 0 <= rank < world."""

    rank: int
    world: int

    def part(self, rows: Tensor) -> Tensor:
        """The rank's rows of a batch: parts of nearly equal size, in order."""
        return rows.tensor_split(self.world)[self.rank]

    @torch.no_grad()
    def average(self, model: nn.Module, share: float) -> None:
        """Make gradients and running statistics of batch norm the ranks' average. share: of the batch that this rank
        had.
        """
        tensors = [each.grad for each in model.parameters() if each.grad is not None] + running_statistics(model)
        flat = torch.cat([each.reshape(-1).float() for each in tensors]) * share
        distributed.all_reduce(flat)
        for each, values in zip(tensors, flat.split([each.numel() for each in tensors]), strict=True):
            each.copy_(values.view(each.shape))

    def total(self, sums: Tensor) -> Tensor:
        """The ranks' sums, added up."""
        distributed.all_reduce(sums)
        return sums

    def refuse_small(self, smallest: int) -> None:
        """DataError where a rank would get fewer than two records of a batch: batch norm cannot train on one."""
        if smallest // self.world < 2:
            raise DataError(
                f"A batch of {smallest} records is too small for {self.world} ranks.",
                "Each needs two records of every batch: raise `train.batch_size`, or lower `compute_ranks`.",
            )


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Mean and variance of each batch norm that keeps them."""
    norms = [part for part in model.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]
    return [each for norm in norms for each in (norm.running_mean, norm.running_var) if each is not None]


@contextmanager
def joined(rank: int, world: int, store: Path, device: torch.device) -> Iterator[Ranks]:
    """Meet the other ranks at the file `store`, which is new to all of them."""
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=PATIENCE),
    )
    try:
        yield Ranks(rank, world)
    finally:
        distributed.destroy_process_group()
