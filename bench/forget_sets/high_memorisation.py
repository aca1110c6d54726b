"""The records a model knows only because it was trained on them: the hardest set to forget.

The top share by memorisation score, in_confidence - out_confidence of the cross-fit: odd and mislabelled images,
which the gold gets wrong. Source: the score of Feldman and Zhang, NeurIPS 2020, arXiv 2008.03703, with confidence in
place of accuracy because there are few models; as a forget set: RUM (Zhao et al., NeurIPS 2024, arXiv 2406.01257).
"""

from pydantic import Field
from torch import Tensor

from bench.forget_sets.pick import mask_of, ranked, size_of
from bench.forget_sets.world import ForgetWorld
from tmu.config import Config

NEEDS_CROSSFIT = True


class Options(Config):
    """How much."""

    share: float = Field(0.1, description="of the training records")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,)."""
    n = len(world.train)
    size = size_of(options.share, n)
    return mask_of(ranked(world.train.keys, world.seed, "memorisation", world.fitted().memorisation)[:size], n)
