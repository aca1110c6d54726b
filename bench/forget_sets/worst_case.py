"""The easiest records: a gold gets them all right, and a method that relabels them does harm.

Within each class the records that models which have not seen them get right most often, then with most confidence, by
the cross-fit; as many of each class as its share of the training set, so that no class is removed. An approximation
of the bi-level selection of Fan et al., "Challenging forgets: unveiling the worst-case forget sets in machine
unlearning", ECCV 2024, arXiv 2403.07362, which searches for the set that unlearns worst: its result is easy, too (the
gold forgets none of it: UA 0), but nothing here optimises against a method.
"""

import torch
from pydantic import Field
from torch import Tensor

from bench.forget_sets.pick import mask_of, quotas, ranked, size_of
from bench.forget_sets.world import ForgetWorld
from tmu.config import Config

NEEDS_CROSSFIT = True


class Options(Config):
    """How much."""

    share: float = Field(0.1, description="of the training records")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,)."""
    labels, n = world.train.labels.cpu(), len(world.train)
    wanted = quotas(labels, size_of(options.share, n), world.classes)
    fitted = world.fitted()
    order = ranked(world.train.keys, world.seed, "worst case", fitted.out_correct, fitted.out_confidence)
    rows = [order[labels[order] == number][:quota] for number, quota in enumerate(wanted)]
    return mask_of(torch.cat(rows), n)
