"""A random share of the training records: requests that come from anywhere.

The forget set is distributed like the hold-out, as Twin Machine Unlearning assumes. Source: the usual "random data
forgetting" (Unlearn-Sparse, SalUn), at 1, 10 and 50 %. A smaller share of one seed lies inside a larger one.
"""

from pydantic import Field
from torch import Tensor

from bench.forget_sets.pick import mask_of, ranked, size_of
from bench.forget_sets.world import ForgetWorld
from tmu.config import Config

NEEDS_CROSSFIT = False


class Options(Config):
    """How much."""

    share: float = Field(0.1, description="of the training records")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,)."""
    n = len(world.train)
    return mask_of(ranked(world.train.keys, world.seed, "random")[: size_of(options.share, n)], n)
